#include "capture/packet_filter.h"

#include <fmt/format.h>
#include <pcap/pcap.h>

#include <unordered_map>
#include <utility>

#include "base/format.h"
#include "wire/link_types.h"

namespace tcpwhy::capture {
namespace {

// LinkType holds LINKTYPE_ values, libpcap compiles for DLT_ ones: the reverse of link_type_of() in live_capture.cc.
int dlt_of(wire::LinkType link_type) {
  const int number = static_cast<int>(link_type);
  switch (number) {
    case 12:
    case 14:
    case 101: return DLT_RAW;
    case 100: return DLT_ATM_RFC1483;
    case 102: return DLT_SLIP_BSDOS;
    case 106: return DLT_ATM_CLIP;
    case 108: return DLT_LOOP;
    default: return number;
  }
}

class Program {
 public:
  Program() = default;
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() { pcap_freecode(&code_); }

  base::Status compile(const std::string& expression, wire::LinkType link_type) {
    constexpr int whole_packet = 262144, optimised = 1;
    const std::unique_ptr<pcap_t, decltype(&pcap_close)> dead(pcap_open_dead(dlt_of(link_type), whole_packet),
                                                              pcap_close);
    if (dead && pcap_compile(dead.get(), &code_, expression.c_str(), optimised, PCAP_NETMASK_UNKNOWN) == 0) return {};
    return base::fail(base::ErrorKind::usage,
                      base::format({"the filter does not compile: {}", "过滤器无法编译：{}"},
                                   dead ? pcap_geterr(dead.get()) : strerror(ENOMEM)),
                      {"pcap-filter(7), as for tcpdump: 'port 443 and net 10.0.0.0/8'",
                       "pcap-filter(7)，与 tcpdump 相同：'port 443 and net 10.0.0.0/8'"});
  }
  [[nodiscard]] bool fits(std::span<const std::uint8_t> captured, std::uint32_t original_length) const {
    pcap_pkthdr header{};
    header.caplen = static_cast<bpf_u_int32>(captured.size());
    header.len = original_length;
    return pcap_offline_filter(&code_, &header, captured.data()) != 0;
  }

 private:
  bpf_program code_{};
};

}  // namespace

struct PacketFilter::Impl {
  struct Compiled {
    Program program;
    base::Status status;
  };
  std::unordered_map<std::uint16_t, Compiled> by_type;
  wire::LinkType last_type{};
  const Program* last = nullptr;  // of last_type: nearly always the next one's too

  void compile(const std::string& expression, wire::LinkType link_type) {
    Compiled& compiled = by_type[static_cast<std::uint16_t>(link_type)];
    compiled.status = compiled.program.compile(expression, link_type);
  }
  base::Result<const Program*> program_for(wire::LinkType link_type) {
    if (last != nullptr && link_type == last_type) return last;
    const auto found = by_type.find(static_cast<std::uint16_t>(link_type));
    if (found == by_type.end())
      return base::fail(
          base::ErrorKind::usage,
          base::format({"the filter cannot be used on link type {} ({})", "过滤器不能用于链路类型 {} ({})"},
                       wire::name_of(link_type), static_cast<int>(link_type)),
          {"read the capture without a filter", "请不带过滤器读取该抓包"});
    if (!found->second.status) return std::unexpected(found->second.status.error());
    last_type = link_type;
    last = &found->second.program;
    return last;
  }
};

PacketFilter::PacketFilter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PacketFilter::PacketFilter(PacketFilter&&) noexcept = default;
PacketFilter& PacketFilter::operator=(PacketFilter&&) noexcept = default;
PacketFilter::~PacketFilter() = default;

base::Result<PacketFilter> PacketFilter::compile(const std::string& expression) {
  auto impl = std::make_unique<Impl>();
  // Ethernet takes every primitive: what does not compile here compiles nowhere.
  impl->compile(expression, wire::LinkType::ethernet);
  if (auto& compiled = impl->by_type.begin()->second.status; !compiled)
    return std::unexpected(std::move(compiled.error()));
  for (const wire::LinkTypeRow& row : wire::link_types()) {
    const wire::LinkType link_type{row.number};
    if (link_type != wire::LinkType::ethernet && wire::is_read(link_type)) impl->compile(expression, link_type);
  }
  return PacketFilter(std::move(impl));
}

base::Result<bool> PacketFilter::fits(wire::LinkType link_type, std::span<const std::uint8_t> captured,
                                      std::uint32_t original_length) {
  const auto program = impl_->program_for(link_type);
  if (!program) return std::unexpected(program.error());
  return (*program)->fits(captured, original_length);
}

}  // namespace tcpwhy::capture
