// IEEE 802.11, and the headers that drivers put before its frames.
#include "wire/link/layer.h"

namespace tcpwhy::wire {

// www.radiotap.org: version 0, length (little-endian), words of "present" bits (bit 31: another word follows), then the fields.
// The second field, after 8 aligned bytes of time, has a flag for a header padded to 4 bytes before the data.
namespace {

struct Radiotap {
  std::size_t length = 0;  // 0: none
  bool data_pad = false;
  bool check_sequence = false;  // stands behind the frame
};

Radiotap read_radiotap(Bytes b) {
  constexpr std::uint32_t time_bit = 1U << 0U, flags_bit = 1U << 1U, more_bit = 1U << 31U;
  constexpr std::uint8_t check_sequence_flag = 0x10, data_pad_flag = 0x20;
  if (!b.has(0, 8) || b.u8(0) != 0 || !b.has(0, b.le16(2))) return {};
  const Radiotap plain{.length = b.le16(2)};
  const std::uint32_t present = b.le32(4);
  if (!(present & flags_bit)) return plain;
  std::size_t at = 8;
  for (std::uint32_t word = present; word & more_bit; at += 4) {
    if (!b.has(at, 4)) return plain;
    word = b.le32(at);
  }
  if (present & time_bit) at = (at + 7) / 8 * 8 + 8;
  if (at >= plain.length) return plain;
  return {plain.length, (b.u8(at) & data_pad_flag) != 0, (b.u8(at) & check_sequence_flag) != 0};
}

// Behind `length` bytes a frame of 802.11.
Layer behind_radio_header(Bytes b, std::size_t length, bool padded = false) {
  Layer inside = after_wireless(b.from(length), padded);
  inside.header_length += length;
  return inside;
}

}  // namespace

// IEEE 802.11 data frames that carry data and are not encrypted: an LLC header follows.
Layer after_wireless(Bytes b, bool padded) {
  if (!b.has(0, 2)) return nothing_known;
  const unsigned control = b.u8(0), flags = b.u8(1);
  const unsigned type = control >> 2U & 3U, subtype = control >> 4U;
  constexpr unsigned data = 2, no_data_bit = 4, quality_of_service_bit = 8, both_systems = 3, protected_bit = 0x40;
  if (type != data || (subtype & no_data_bit) || (flags & protected_bit)) return nothing_known;
  std::size_t length =
      24U + ((flags & both_systems) == both_systems ? 6U : 0U) + (subtype & quality_of_service_bit ? 2U : 0U);
  if (padded) length = (length + 3U) / 4U * 4U;
  return {b.has(0, length) ? Content::llc : Content::none, length};
}

Layer after_radiotap(Bytes b) {
  constexpr std::size_t check_sequence = 4;
  const Radiotap radiotap = read_radiotap(b);
  if (radiotap.length == 0) return nothing_known;
  Layer inside = behind_radio_header(b, radiotap.length, radiotap.data_pad);
  if (radiotap.check_sequence) inside.trailer_length = check_sequence;
  return inside;
}

// LINKTYPE_IEEE802_11_AVS: a number that says the version, then the length of this header.
Layer after_avs(Bytes b) {
  constexpr std::size_t shortest = 8;
  if (!b.has(0, shortest) || b.be32(4) < shortest || !b.has(0, b.be32(4))) return nothing_known;
  return behind_radio_header(b, b.be32(4));
}

// LINKTYPE_IEEE802_11_PRISM: 144 bytes, unless it begins as an AVS header does.
Layer after_prism(Bytes b) {
  constexpr std::size_t header_length = 144;
  constexpr std::uint32_t avs_1 = 0x80211001, avs_2 = 0x80211002;
  if (b.has(0, 4) && (b.be32(0) == avs_1 || b.be32(0) == avs_2)) return after_avs(b);
  return b.has(0, header_length) ? behind_radio_header(b, header_length) : nothing_known;
}

}  // namespace tcpwhy::wire
