#include "capture/endpoint_filter.h"

#include <pcap/pcap.h>

#include <algorithm>
#include <array>

#include "base/format.h"

namespace tcpwhy::capture {
namespace {

// The least that a filter may look at: an IP header and a TCP header with ACK, as LINKTYPE_RAW has them.
struct Headers {
  std::array<std::uint8_t, 60> bytes{};
  std::uint32_t length = 0;
};

Headers headers(const wire::SocketAddress& from, const wire::SocketAddress& to) {
  Headers made;
  auto& b = made.bytes;
  const bool v4 = from.ip.family == wire::IpFamily::v4;
  const std::size_t tcp = v4 ? 20 : 40;
  made.length = static_cast<std::uint32_t>(tcp + 20);
  if (v4) {
    b[0] = 0x45, b[3] = 40, b[8] = 64, b[9] = 6;
    std::ranges::copy_n(from.ip.bytes.begin(), 4, b.begin() + 12);
    std::ranges::copy_n(to.ip.bytes.begin(), 4, b.begin() + 16);
  } else {
    b[0] = 0x60, b[5] = 20, b[6] = 6, b[7] = 64;
    std::ranges::copy_n(from.ip.bytes.begin(), 16, b.begin() + 8);
    std::ranges::copy_n(to.ip.bytes.begin(), 16, b.begin() + 24);
  }
  const auto put = [&](std::size_t at, std::uint16_t port) {
    b[at] = static_cast<std::uint8_t>(port >> 8), b[at + 1] = static_cast<std::uint8_t>(port);
  };
  put(tcp, from.port), put(tcp + 2, to.port);
  b[tcp + 12] = 0x50, b[tcp + 13] = 0x10;
  return made;
}

}  // namespace

struct EndpointFilter::Impl {
  bpf_program program{};
  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { pcap_freecode(&program); }
};

EndpointFilter::EndpointFilter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EndpointFilter::EndpointFilter(EndpointFilter&&) noexcept = default;
EndpointFilter& EndpointFilter::operator=(EndpointFilter&&) noexcept = default;
EndpointFilter::~EndpointFilter() = default;

base::Result<EndpointFilter> EndpointFilter::compile(const std::string& expression) {
  const std::unique_ptr<pcap_t, decltype(&pcap_close)> dead(pcap_open_dead(DLT_RAW, 65535), pcap_close);
  auto impl = std::make_unique<Impl>();
  if (!dead || pcap_compile(dead.get(), &impl->program, expression.c_str(), 1, PCAP_NETMASK_UNKNOWN) != 0)
    return base::fail(base::ErrorKind::usage,
                      base::format({"the filter does not compile: {}", "过滤器无法编译：{}"},
                                   dead ? pcap_geterr(dead.get()) : strerror(ENOMEM)),
                      {"pcap-filter(7), as for tcpdump: 'port 443 and net 10.0.0.0/8'",
                       "pcap-filter(7)，与 tcpdump 相同：'port 443 and net 10.0.0.0/8'"});
  return EndpointFilter(std::move(impl));
}

bool EndpointFilter::fits(const wire::SocketAddress& one, const wire::SocketAddress& other) const {
  for (const auto& made : {headers(one, other), headers(other, one)}) {
    pcap_pkthdr header{};
    header.caplen = header.len = made.length;
    if (pcap_offline_filter(&impl_->program, &header, made.bytes.data()) != 0) return true;
  }
  return false;
}

}  // namespace tcpwhy::capture
