#include "capture/live_capture.h"

#include <fcntl.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>
#include <sys/socket.h>

#include <new>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/format.h"

namespace tcpwhy::capture {
namespace {

struct PcapCloser {
  void operator()(pcap_t* handle) const { pcap_close(handle); }
};
using Pcap = std::unique_ptr<pcap_t, PcapCloser>;

constexpr base::Text privilege_hint = {
    "capturing needs CAP_NET_RAW in this network namespace: run as root, or let `tcpwhy lab` make its own namespaces",
    "抓包需要在当前网络命名空间中拥有 CAP_NET_RAW：请以 root 身份运行，或让 `tcpwhy lab` 建立自己的命名空间"};

// libpcap's words for the state of `handle` after one of its calls returned `code`.
std::string error_text(pcap_t* handle, int code) {
  const std::string_view own = pcap_geterr(handle);
  if (code == PCAP_ERROR || own.empty()) return std::string(own.empty() ? pcap_statustostr(code) : own);
  return std::string(pcap_statustostr(code)) + " (" + std::string(own) + ")";
}

constexpr base::Format<std::string, std::string> cannot_capture_on{"cannot capture on {}: {}", "无法在 {} 上抓包：{}"};

std::unexpected<base::Error> cannot_capture(const std::string& interface, pcap_t* handle, int code) {
  const bool denied = code == PCAP_ERROR_PERM_DENIED || code == PCAP_ERROR_PROMISC_PERM_DENIED;
  return base::fail(denied ? base::ErrorKind::privilege : base::ErrorKind::system,
                    base::format(cannot_capture_on, interface, error_text(handle, code)),
                    denied ? base::owned(privilege_hint) : base::OwnedText{});
}

// pcap_datalink() gives DLT_ values; LinkType holds LINKTYPE_ ones. They are the same but where operating systems disagreed on
// the number (www.tcpdump.org/linktypes.html): DLT_RAW is 12 on Linux.
wire::LinkType link_type_of(int dlt) {
  switch (dlt) {
    case DLT_RAW: return wire::LinkType::raw;
    case DLT_LOOP: return wire::LinkType::loop;
    default: return wire::LinkType(static_cast<std::uint16_t>(dlt));
  }
}

base::WallTime wall_time(const timeval& stamp) {
  // With PCAP_TSTAMP_PRECISION_NANO tv_usec holds nanoseconds.
  return base::wall_from_ns(std::int64_t{stamp.tv_sec} * 1'000'000'000 + stamp.tv_usec);
}

struct DrainTarget {
  recording::InterfaceId interface;
  std::vector<recording::Event>* events;
  std::uint32_t no_memory_for = 0;
};

// Called by libpcap, through which no exception may pass.
void take_packet(u_char* user, const pcap_pkthdr* header, const u_char* bytes) try {
  auto& target = *static_cast<DrainTarget*>(static_cast<void*>(user));
  recording::Packet packet;
  packet.interface = target.interface;
  packet.original_length = header->len;
  packet.bytes.assign(bytes, bytes + header->caplen);
  target.events->push_back({.at = wall_time(header->ts), .actor = {}, .what = std::move(packet)});
} catch (const std::bad_alloc&) {
  ++static_cast<DrainTarget*>(static_cast<void*>(user))->no_memory_for;
}

// On lo every packet leaves and arrives at the same tap. libpcap hides the copy that leaves, but only after it has taken its place in
// the ring; this keeps it out (Linux 4.20; before, libpcap's way remains). Not by the filter `inbound`: libpcap filters what is
// in the ring at that moment once more by itself, where that primitive does not work, and loses the first packet.
void keep_departing_copies_out(pcap_t* handle, const std::string& interface) {
  const int on = 1;
  if (interface == "lo") (void)::setsockopt(pcap_fileno(handle), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
}

base::Status install_filter(pcap_t* handle, const LiveCaptureOptions& options) {
  if (options.filter.empty()) return {};
  bpf_program program{};
  if (pcap_compile(handle, &program, options.filter.c_str(), 1, PCAP_NETMASK_UNKNOWN) != 0)
    return base::fail(base::ErrorKind::usage,
                      base::format({"filter \"{}\": {}", "过滤器“{}”：{}"}, options.filter, pcap_geterr(handle)),
                      {"see pcap-filter(7) for the syntax", "语法见 pcap-filter(7)"});
  const int set = pcap_setfilter(handle, &program);
  pcap_freecode(&program);
  if (set != 0) return cannot_capture(options.interface, handle, set);
  return {};
}

}  // namespace

struct LiveCapture::Impl {
  Pcap handle;
  LiveCaptureOptions options;
  wire::LinkType link_type = wire::LinkType::ethernet;
  std::uint32_t reported_drops = 0;
};

LiveCapture::LiveCapture(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LiveCapture::LiveCapture(LiveCapture&&) noexcept = default;
LiveCapture& LiveCapture::operator=(LiveCapture&&) noexcept = default;
LiveCapture::~LiveCapture() = default;

base::Result<LiveCapture> LiveCapture::open(const LiveCaptureOptions& options) {
  char error[PCAP_ERRBUF_SIZE] = {};
  Pcap handle(pcap_create(options.interface.c_str(), error));
  if (!handle)
    return base::fail(base::ErrorKind::system, base::format(cannot_capture_on, options.interface, std::string(error)));
  pcap_t* const pcap = handle.get();
  pcap_set_snaplen(pcap, static_cast<int>(options.snap_length));
  pcap_set_promisc(pcap, 0);
  pcap_set_immediate_mode(pcap, 1);
  pcap_set_buffer_size(pcap, static_cast<int>(options.ring_bytes));
  pcap_set_tstamp_type(pcap, PCAP_TSTAMP_HOST);
  if (const int set = pcap_set_tstamp_precision(pcap, PCAP_TSTAMP_PRECISION_NANO); set != 0)
    return cannot_capture(options.interface, pcap, set);
  // A positive value is a warning (promiscuous mode not supported, ...): the tap stands.
  if (const int active = pcap_activate(pcap); active < 0) return cannot_capture(options.interface, pcap, active);
  // A command that is traced would get it.
  if (::fcntl(pcap_fileno(pcap), F_SETFD, FD_CLOEXEC) != 0)
    return base::fail_errno(base::format({"the tap on {}", "{} 上的抓包"}, options.interface));
  keep_departing_copies_out(pcap, options.interface);
  if (pcap_setnonblock(pcap, 1, error) != 0)
    return base::fail(base::ErrorKind::system, base::format(cannot_capture_on, options.interface, std::string(error)));
  if (auto filtered = install_filter(pcap, options); !filtered) return std::unexpected(filtered.error());

  auto impl = std::make_unique<Impl>();
  impl->link_type = link_type_of(pcap_datalink(pcap));
  impl->options = options;
  impl->handle = std::move(handle);
  return LiveCapture(std::move(impl));
}

int LiveCapture::fd() const { return pcap_get_selectable_fd(impl_->handle.get()); }

wire::LinkType LiveCapture::link_type() const { return impl_->link_type; }

recording::Interface LiveCapture::describe(std::string host) const {
  return {.link_type = impl_->link_type,
          .snap_length = impl_->options.snap_length,
          .name = impl_->options.interface,
          .description = {},
          .host = std::move(host),
          .timestamp_digits = 9};
}

base::Result<std::size_t> LiveCapture::drain(recording::InterfaceId interface, std::vector<recording::Event>& events) {
  DrainTarget target{interface, &events};
  const std::size_t before = events.size();
  // One call takes what the ring holds when it begins to look; go on until nothing is there.
  while (true) {
    const int taken =
        pcap_dispatch(impl_->handle.get(), -1, take_packet, static_cast<u_char*>(static_cast<void*>(&target)));
    if (taken < 0) return cannot_capture(impl_->options.interface, impl_->handle.get(), taken);
    if (target.no_memory_for > 0) throw std::bad_alloc();
    if (taken == 0) return events.size() - before;
  }
}

std::optional<recording::Event> LiveCapture::new_losses() {
  pcap_stat statistics{};
  if (pcap_stats(impl_->handle.get(), &statistics) != 0) return std::nullopt;
  const std::uint32_t dropped = statistics.ps_drop - impl_->reported_drops;
  if (dropped == 0) return std::nullopt;
  impl_->reported_drops = statistics.ps_drop;
  return recording::Event{
      .at = base::wall_now(),
      .actor = {},
      .what = recording::Loss{.what = "packets",
                              .count = dropped,
                              .why = "the kernel's capture ring of " + impl_->options.interface + " was full"}};
}

}  // namespace tcpwhy::capture
