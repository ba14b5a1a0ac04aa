// IEEE 802.11 in the tcpdump view.
#include <array>

#include "render/tcpdump/link/link.h"

namespace tcpwhy::render::tcpdump {
namespace {

// Which of the three or four addresses stand first in a data frame, by its To DS and From DS bits (802.11 table 9-30).
struct WirelessAddresses {
  std::array<std::string_view, 4> names;
};
constexpr WirelessAddresses wireless_addresses[] = {
    {{"DA", "SA", "BSSID", ""}}, {{"BSSID", "SA", "DA", ""}}, {{"DA", "BSSID", "SA", ""}}, {{"RA", "TA", "DA", "SA"}}};

// What a data frame does beside carrying data: two bits of its subtype (802.11 table 9-1).
constexpr std::array<std::string_view, 4> wireless_contention_free = {"", "Ack", "Poll", "Ack/Poll"};

void add_wireless_header(Line& line, Bytes b, unsigned systems, bool quality_of_service) {
  constexpr std::array<std::size_t, 4> address_at = {4, 10, 16, 24};
  const std::string_view also = wireless_contention_free[b.u8(0) >> 4U & 3U];
  if (quality_of_service || !also.empty()) line.add("CF {}{} ", also, quality_of_service ? "+QoS" : "");
  const auto& names = wireless_addresses[systems].names;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) continue;
    line.add("{}:", names[i]);
    add_ethernet_address(line, b, address_at[i]);
    line.add(" ");
  }
}

}  // namespace

void write_wireless(Line& line, Payload frame, bool padded) {
  const Bytes b = frame.bytes;
  if (!b.has(0, 2)) return line.cut("802.11");
  const unsigned control = b.u8(0), flags = b.u8(1), systems = flags & 3U;
  const bool quality_of_service = (control & 0x80U) != 0, is_data = (control & 0x4cU) == 0x08;
  std::size_t header_length = 24U + (systems == 3 ? 6U : 0U) + (quality_of_service ? 2U : 0U);
  if (padded) header_length = (header_length + 3) / 4 * 4;
  if (!is_data || (flags & 0x40U)) return line.add("802.11, length {}", frame.length);
  if (!b.has(0, header_length)) return line.cut("802.11");
  if (line.options.link_header) add_wireless_header(line, b, systems, quality_of_service);
  write_llc(line, frame.from(header_length));
}

void write_avs(Line& line, Payload frame) {
  constexpr std::size_t shortest = 8;
  const Bytes b = frame.bytes;
  if (!b.has(0, shortest) || b.be32(4) < shortest || !b.has(0, b.be32(4))) return line.cut("802.11_radio_avs");
  write_wireless(line, frame.from(b.be32(4)));
}

void write_prism(Line& line, Payload frame) {
  constexpr std::size_t header_length = 144;
  constexpr std::uint32_t avs_1 = 0x80211001, avs_2 = 0x80211002;
  const Bytes b = frame.bytes;
  if (b.has(0, 4) && (b.be32(0) == avs_1 || b.be32(0) == avs_2)) return write_avs(line, frame);
  if (!b.has(0, header_length)) return line.cut("prism");
  write_wireless(line, frame.from(header_length));
}

}  // namespace tcpwhy::render::tcpdump
