// User namespaces as another user would get them, and what can be observed inside a sandbox like those of `tcpwhy lab`.
#include <fmt/format.h>
#include <grp.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <vector>

#include "base/format.h"
#include "base/unique_fd.h"
#include "capture/live_capture.h"
#include "doctor/child.h"
#include "doctor/probe.h"
#include "lab/link/netns.h"
#include "lab/sandbox/sandbox.h"
#include "trace/counter_sampler.h"
#include "trace/socket_sampler.h"

namespace tcpwhy::doctor {
namespace {

// ---- user namespaces

constexpr uid_t nobody = 65534;

// What goes through a pipe as lines: texts hold none.
std::string as_lines(const base::OwnedText& text) { return fmt::format("{}\n{}\n", text.en, text.zh); }
std::string_view take_line(std::string_view& lines) {
  const std::string_view line = lines.substr(0, lines.find('\n'));
  lines.remove_prefix(std::min(line.size() + 1, lines.size()));
  return line;
}
base::OwnedText take_text(std::string_view& lines) {
  const std::string_view en = take_line(lines), zh = take_line(lines);
  return {std::string(en), std::string(zh)};
}

// "fine" when a user without privileges gets a sandbox, else what the sandbox says: message and hint, as lines.
std::string sandbox_refused_to_nobody() {
  return ask_in_child([]() -> std::string {
    if (getuid() == 0) {
      if (setgroups(0, nullptr) != 0 || setgid(nobody) != 0 || setuid(nobody) != 0) {
        return as_lines(
            base::format({"cannot become another user: {}", "无法切换为其他用户：{}"}, std::strerror(errno)));
      }
      prctl(PR_SET_DUMPABLE, 1);  // setuid() took it away, and with it the right to write our own /proc/self/uid_map
    }
    const auto available = lab::sandbox_available();
    return available ? "fine" : as_lines(available.error().message) + as_lines(available.error().hint);
  });
}

Probe user_namespaces() {
  Probe probe{.id = "user_namespaces",
              .title = {"user namespaces without root", "无需 root 的用户命名空间"},
              .answer = Answer::yes,
              .found = {"made one as a user without privileges", "以无特权用户成功建立"},
              .needed_for = {"tcpwhy lab without root", "无 root 运行 tcpwhy lab"},
              .more = {}};
  const auto said = sandbox_refused_to_nobody();
  if (said == "fine") return probe;
  std::string_view lines = said;
  probe.answer = Answer::no;
  probe.found = take_text(lines);
  probe.more = take_text(lines);
  if (said.empty()) probe.found = {"the child that tried it died", "尝试它的子进程已死亡"};
  return probe;
}

// ---- inside a sandbox

// A connection over lo, both ends in this process.
struct LocalConnection {
  base::UniqueFd listener, client, server;
};

base::Result<LocalConnection> connect_to_myself() {
  LocalConnection ends;
  ends.listener.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(ends.listener.get(), generic, size) != 0 || listen(ends.listener.get(), 1) != 0 ||
      getsockname(ends.listener.get(), generic, &size) != 0) {
    return base::fail_errno("listen");
  }
  ends.client.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(ends.client.get(), generic, size) != 0) return base::fail_errno("connect");
  ends.server.reset(accept(ends.listener.get(), nullptr, nullptr));
  if (!ends.server.valid()) return base::fail_errno("accept");
  return ends;
}

// The kernel's answer to SOCK_DESTROY (sock_diag(7); CONFIG_INET_DIAG_DESTROY) for this socket: 0 or an errno.
int destroy(int fd) {
  sockaddr_in local{}, remote{};
  socklen_t size = sizeof local;
  getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size);
  size = sizeof remote;
  getpeername(fd, reinterpret_cast<sockaddr*>(&remote), &size);

  struct {
    nlmsghdr header{};
    inet_diag_req_v2 request{};
  } message;
  message.header.nlmsg_len = sizeof message;
  message.header.nlmsg_type = SOCK_DESTROY;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  message.request.sdiag_family = AF_INET;
  message.request.sdiag_protocol = IPPROTO_TCP;
  message.request.idiag_states = ~0U;
  message.request.id.idiag_sport = local.sin_port;
  message.request.id.idiag_dport = remote.sin_port;
  message.request.id.idiag_src[0] = local.sin_addr.s_addr;
  message.request.id.idiag_dst[0] = remote.sin_addr.s_addr;
  message.request.id.idiag_cookie[0] = message.request.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;

  const base::UniqueFd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (send(netlink.get(), &message, sizeof message, 0) < 0) return errno;
  struct {
    nlmsghdr header{};
    nlmsgerr error{};
    char rest[256]{};
  } answer;
  if (recv(netlink.get(), &answer, sizeof answer, 0) < 0) return errno;
  return answer.header.nlmsg_type == NLMSG_ERROR ? -answer.error.error : EPROTO;
}

base::OwnedText said(const base::Status& status) { return status ? base::OwnedText{} : status.error().message; }

base::OwnedText try_capture(capture::LiveCapture& tap) {
  pollfd ready{tap.fd(), POLLIN, 0};
  std::vector<recording::Event> events;
  while (events.size() < 3) {  // SYN, SYN-ACK, ACK
    if (poll(&ready, 1, 1000) <= 0)
      return base::format({"{} of the 3 packets of a handshake came", "握手的 3 个报文只来了 {} 个"}, events.size());
    if (const auto drained = tap.drain({}, events); !drained) return drained.error().message;
  }
  return {};
}

base::OwnedText try_sock_diag(const LocalConnection& ends) {
  auto sampler = trace::SocketSampler::open();
  if (!sampler) return sampler.error().message;
  const auto sample = sampler->sample();
  if (!sample) return sample.error().message;
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (getsockopt(ends.client.get(), SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0)
    return base::both(std::strerror(errno));
  const auto mine = std::ranges::find(sample->sockets, cookie, &recording::SocketSnapshot::cookie);
  if (mine != sample->sockets.end()) return {};
  return {"our own connection is not among the sockets it tells", "它列出的套接字中没有我们自己的连接"};
}

base::OwnedText try_tcp_info(const LocalConnection& ends) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(ends.client.get(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return base::both(std::strerror(errno));
  if (info.tcpi_state == TCP_ESTABLISHED) return {};
  return {"it does not tell the state of our own connection", "它没有报告我们自己连接的状态"};
}

// KEY and what went wrong, as lines, of everything that is tried inside; nothing went wrong where the text is empty.
base::Result<lab::Bytes> look_around() {
  std::map<std::string, base::OwnedText> wrong;
  wrong["lo"] = said(lab::set_interface_up("lo"));
  auto tap = capture::LiveCapture::open({.interface = "lo", .filter = {}});
  auto counters = trace::CounterSampler::open();
  wrong["counters"] = counters ? base::OwnedText{} : counters.error().message;
  auto ends = connect_to_myself();
  if (!ends) return std::unexpected(ends.error());
  wrong["capture"] = tap ? try_capture(*tap) : tap.error().message;
  wrong["sock_diag"] = try_sock_diag(*ends);
  wrong["tcp_info"] = try_tcp_info(*ends);
  std::vector<recording::Event> moved;
  if (counters && counters->sample(moved) && moved.empty())
    wrong["counters"] = {"no counter moved in a handshake", "握手时没有计数器变化"};
  const int refused = destroy(ends->client.get());
  wrong["sock_destroy"] = refused == 0 ? base::OwnedText{} : base::both(std::strerror(refused));
  std::string lines;
  for (const auto& [key, what] : wrong) lines += key + '\n' + as_lines(what);
  return lab::Bytes(lines.begin(), lines.end());
}

struct Inside {
  const char* key;
  const char* id;
  base::OwnedText title, found, needed_for;
};

const std::vector<Inside>& inside_rows() {
  static const std::vector<Inside> rows = {
      {"capture",
       "sandbox_packets",
       {"packets in the sandbox", "沙箱内抓包"},
       {"a handshake over lo was captured, with stamps in nanoseconds", "抓到了 lo 上的握手，时间戳精确到纳秒"},
       {"the packets of tcpwhy lab", "tcpwhy lab 的数据包"}},
      {"sock_diag",
       "sock_diag",
       {"socket states (sock_diag)", "套接字状态 (sock_diag)"},
       {"the kernel told the state of our connection", "内核报告了连接的状态"},
       {"both ends' states, orphans and TIME-WAIT among them", "两端状态，包括孤儿套接字和 TIME-WAIT"}},
      {"tcp_info",
       "tcp_info",
       {"TCP_INFO", "TCP_INFO"},
       {"read", "可读"},
       {"timers and options of a connection", "连接的定时器和选项"}},
      {"counters",
       "counters",
       {"TCP counters (MIB)", "TCP 计数器 (MIB)"},
       {"they moved with a handshake", "随握手变化"},
       {"telling apart resets that look the same on the wire", "区分线上看起来相同的复位"}},
      {"sock_destroy",
       "sock_destroy",
       {"SOCK_DESTROY (ss -K)", "SOCK_DESTROY (ss -K)"},
       {"the kernel closed a connection when asked", "内核按要求关闭了连接"},
       {"experiments in which an administrator kills a connection", "管理员强行断开连接的实验"}},
  };
  return rows;
}

std::map<std::string, base::OwnedText> parse_lines(const lab::Bytes& bytes) {
  std::map<std::string, base::OwnedText> wrong;
  const std::string text(bytes.begin(), bytes.end());
  for (std::string_view lines = text; !lines.empty();) {
    const std::string key(take_line(lines));
    wrong[key] = take_text(lines);
  }
  return wrong;
}

void examine_sandbox(std::vector<Probe>& probes) {
  Probe sandbox{.id = "sandbox",
                .title = {"sandbox as this user", "当前用户的沙箱"},
                .answer = Answer::yes,
                .found = {"made, and gone again", "已建立并已清除"},
                .needed_for = {"tcpwhy lab", "tcpwhy lab"},
                .more = {}};
  base::Result<lab::Bytes> looked = base::fail(base::ErrorKind::system, {});
  auto made =
      lab::Sandbox::start({.name = "doctor", .wall_limit = std::chrono::seconds(10), .keep_fds = {}, .on_progress = {}},
                          [](lab::Workplace&) { return look_around(); });
  if (!made) {
    sandbox.answer = Answer::no;
    sandbox.found = made.error().message;
    sandbox.more = made.error().hint;
  } else {
    looked = made->wait();
    if (!looked) {
      sandbox.answer = Answer::partly;
      sandbox.found = looked.error().message;
      sandbox.more = looked.error().hint;
    }
  }
  probes.push_back(std::move(sandbox));
  if (!looked) return;
  auto wrong = parse_lines(*looked);
  for (const auto& row : inside_rows()) {
    const auto& what = wrong[row.key];
    Probe probe{.id = row.id,
                .title = row.title,
                .answer = what.empty() ? Answer::yes : Answer::no,
                .found = what.empty() ? row.found : what,
                .needed_for = row.needed_for,
                .more = {}};
    if (!what.empty() && std::string_view(row.key) == "sock_destroy") {
      probe.more = {"a kernel built with CONFIG_INET_DIAG_DESTROY", "需要以 CONFIG_INET_DIAG_DESTROY 编译的内核"};
    }
    probes.push_back(std::move(probe));
  }
}

}  // namespace

void examine_namespaces(std::vector<Probe>& probes) {
  probes.push_back(user_namespaces());
  examine_sandbox(probes);
}

}  // namespace tcpwhy::doctor
