// The numbers of pcapng that the reader and the writer share (draft-ietf-opsawg-pcapng, sections in brackets).
#pragma once

#include <cstddef>
#include <cstdint>

namespace tcpwhy::capfile::pcapng {

enum BlockType : std::uint32_t {
  section_header = 0x0A0D0D0A,  // [4.1]
  interface_description = 1,    // [4.2]
  obsolete_packet = 2,          // appendix A
  simple_packet = 3,            // [4.4]
  enhanced_packet = 6,          // [4.3]
  journal_export = 9,           // [4.7]
};

enum OptionCode : std::uint16_t {
  end_of_options = 0,
  comment = 1,
  // Section Header Block
  shb_hardware = 2,
  shb_os = 3,
  shb_userappl = 4,
  // Interface Description Block
  if_name = 2,
  if_description = 3,
  if_tsresol = 9,
  if_fcslen = 13,
  if_tsoffset = 14,
  // Enhanced Packet Block
  epb_packetid = 5,
};

inline constexpr std::uint32_t byte_order_magic = 0x1A2B3C4D;
inline constexpr std::size_t block_header_bytes = 8;  // type, total length
inline constexpr std::size_t block_overhead = 12;     // and the total length again at the end

inline constexpr std::size_t padded(std::size_t length) { return (length + 3) & ~std::size_t{3}; }

}  // namespace tcpwhy::capfile::pcapng
