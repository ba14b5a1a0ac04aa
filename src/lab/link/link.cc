#include "lab/link/link.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "lab/link/link_forwarder.h"
#include "lab/link/rtnetlink.h"

namespace tcpwhy::lab {
namespace {

constexpr LinkEnd both_ends[] = {LinkEnd::client, LinkEnd::server};

struct EndAddresses {
  std::string_view v4, v6;
  MacAddress mac;      // of eth0
  std::string middle;  // the interface of the middle that leads here
  MacAddress middle_mac;
};
// Locally administered addresses (bit 2 of the first byte); the last byte says which end, the one before which side.
const EndAddresses& addresses_of(LinkEnd end) {
  static const EndAddresses client{"10.9.0.1", "fd09::1", {0x02, 9, 0, 0, 0, 1}, "client", {0x02, 9, 0, 0, 1, 1}};
  static const EndAddresses server{"10.9.0.2", "fd09::2", {0x02, 9, 0, 0, 0, 2}, "server", {0x02, 9, 0, 0, 1, 2}};
  return end == LinkEnd::client ? client : server;
}

constexpr std::uint8_t v4_prefix_length = 24, v6_prefix_length = 64;

bool has_ipv6() { return has_sysctl("net.ipv6.conf.all.disable_ipv6"); }

// The middle has no addresses of its own and says nothing.
base::Status silence_middle() {
  if (!has_ipv6()) return {};
  return set_sysctl("net.ipv6.conf.default.disable_ipv6", "1");
}

// In the end's namespace.
base::Status set_up_end(LinkEnd end, int middle_ns) {
  const EndAddresses& own = addresses_of(end);
  const EndAddresses& peer = addresses_of(other(end));
  const std::string interface(link_interface);
  auto netlink = RtNetlink::open();
  if (!netlink) return std::unexpected(std::move(netlink.error()));
  if (auto done = set_interface_up("lo"); !done) return done;
  if (auto done = netlink->add_veth_pair({interface, own.mac, false}, {own.middle, own.middle_mac, false}, middle_ns);
      !done)
    return done;
  if (auto done = disable_offloads(interface); !done) return done;
  if (auto done = netlink->set_up(interface); !done) return done;
  for (const auto family : {wire::IpFamily::v4, wire::IpFamily::v6}) {
    if (family == wire::IpFamily::v6 && !has_ipv6()) continue;
    const auto prefix = family == wire::IpFamily::v4 ? v4_prefix_length : v6_prefix_length;
    if (auto done = netlink->add_address(interface, link_address(end, family), prefix); !done) return done;
    if (auto done = netlink->add_neighbour(interface, {link_address(other(end), family), peer.mac}); !done) return done;
  }
  return {};
}

base::Status set_up_middle() {
  auto netlink = RtNetlink::open();
  if (!netlink) return std::unexpected(std::move(netlink.error()));
  for (const LinkEnd end : both_ends) {
    if (auto done = disable_offloads(addresses_of(end).middle); !done) return done;
    if (auto done = netlink->set_up(addresses_of(end).middle); !done) return done;
  }
  return {};
}

base::Status await_queueing_discipline(std::string_view interface) {
  auto netlink = RtNetlink::open();
  if (!netlink) return std::unexpected(std::move(netlink.error()));
  return netlink->await_queueing_discipline(std::string(interface));
}

void close_all_but(std::array<int, 3> keep) {
  std::ranges::sort(keep);
  unsigned int next = 3;
  for (const int fd : keep) {
    const auto number = static_cast<unsigned int>(fd);
    if (number > next) ::close_range(next, number - 1, 0);
    next = number + 1;
  }
  ::close_range(next, ~0U, 0);
}

struct ForwarderProcess {
  pid_t pid = -1;
  base::UniqueFd reports;
};

struct Unmap {
  void operator()(Dropping* shared) const { ::munmap(shared, sizeof(Dropping)); }
};
using SharedDropping = std::unique_ptr<Dropping, Unmap>;

base::Result<SharedDropping> share_dropping() {
  void* memory = ::mmap(nullptr, sizeof(Dropping), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return base::fail_errno({"memory shared with the link", "与链路共享的内存"});
  return SharedDropping(new (memory) Dropping);
}

base::Result<ForwarderProcess> start_forwarder(const LinkOptions& options, const Dropping& dropping) {
  auto sockets = MiddleSockets::open(addresses_of(LinkEnd::client).middle, addresses_of(LinkEnd::server).middle);
  if (!sockets) return std::unexpected(std::move(sockets.error()));
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return base::fail_errno("socketpair");
  base::UniqueFd ours(pair[0]), theirs(pair[1]);

  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return base::fail_errno({"cannot start the link's forwarder", "无法启动链路的转发进程"});
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);  // same pid namespace: getppid() tells
    ::prctl(PR_SET_NAME, "link");
    close_all_but({sockets->by_end[0].get(), sockets->by_end[1].get(), theirs.get()});
    Forwarder(std::move(*sockets), std::move(theirs), constant_delays(options, &dropping)).run();
    ::_exit(0);
  }
  return ForwarderProcess{pid, std::move(ours)};
}

}  // namespace

std::string_view to_string(LinkEnd end) { return end == LinkEnd::client ? "client" : "server"; }

wire::IpAddress link_address(LinkEnd end, wire::IpFamily family) {
  const EndAddresses& own = addresses_of(end);
  const auto address = wire::IpAddress::parse(family == wire::IpFamily::v4 ? own.v4 : own.v6);
  TCPWHY_CHECK(address.has_value());
  return *address;
}

struct Link::Impl {
  std::vector<NetNamespace> ends;  // index: LinkEnd
  AppliedSysctls sysctls;
  SharedDropping dropping;
  ForwarderProcess forwarder;

  [[nodiscard]] const NetNamespace& end(LinkEnd end) const { return ends[static_cast<std::size_t>(end)]; }
  ~Impl() {
    if (forwarder.pid <= 0) return;
    ::kill(forwarder.pid, SIGKILL);
    while (::waitpid(forwarder.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
};

Link::Link(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Link::Link(Link&&) noexcept = default;
Link& Link::operator=(Link&&) noexcept = default;
Link::~Link() = default;

base::Result<Link> Link::create(const LinkOptions& options) {
  auto impl = std::make_unique<Impl>();
  auto middle = NetNamespace::current();
  if (!middle) return std::unexpected(std::move(middle.error()));
  if (auto done = silence_middle(); !done) return std::unexpected(std::move(done.error()));
  for (const LinkEnd end : both_ends) {
    auto made = NetNamespace::create();
    if (!made) return std::unexpected(std::move(made.error()));
    auto applied = made->run([] { return apply_sysctls(standard_sysctls()); });
    if (!applied) return std::unexpected(std::move(applied.error()));
    impl->sysctls = std::move(*applied);
    auto done = made->run([&] { return set_up_end(end, middle->fd()); });
    if (!done) return std::unexpected(std::move(done.error()));
    impl->ends.push_back(std::move(*made));
  }
  if (auto done = set_up_middle(); !done) return std::unexpected(std::move(done.error()));
  for (const LinkEnd end : both_ends) {
    if (auto done = await_queueing_discipline(addresses_of(end).middle); !done)
      return std::unexpected(std::move(done.error()));
    if (auto done = impl->end(end).run([] { return await_queueing_discipline(link_interface); }); !done)
      return std::unexpected(std::move(done.error()));
  }
  auto dropping = share_dropping();
  if (!dropping) return std::unexpected(std::move(dropping.error()));
  impl->dropping = std::move(*dropping);
  auto forwarder = start_forwarder(options, *impl->dropping);
  if (!forwarder) return std::unexpected(std::move(forwarder.error()));
  impl->forwarder = std::move(*forwarder);
  return Link(std::move(impl));
}

const NetNamespace& Link::end(LinkEnd end) const { return impl_->end(end); }
const AppliedSysctls& Link::sysctls() const { return impl_->sysctls; }
void Link::set_dropping(LinkEnd from, bool drop) { impl_->dropping->from[static_cast<std::size_t>(from)].store(drop); }
int Link::fd() const { return impl_->forwarder.reports.get(); }
pid_t Link::forwarder() const { return impl_->forwarder.pid; }

base::Status Link::drain(std::vector<LinkReport>& reports) {
  static_assert(std::is_trivially_copyable_v<LinkReport>, "it travels as its bytes between two copies of this program");
  while (true) {
    LinkReport report;
    const ssize_t got = ::recv(fd(), &report, sizeof report, MSG_DONTWAIT);
    if (got == static_cast<ssize_t>(sizeof report)) {
      reports.push_back(report);
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return {};
    return base::fail(base::ErrorKind::system, {"the link's forwarder ended", "链路的转发进程已结束"});
  }
}

}  // namespace tcpwhy::lab
