// For tests: capture files made byte by byte, in either byte order, damage included.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tcpwhy::capfile::testing {

using Bytes = std::vector<std::uint8_t>;

class CaptureBuilder {
 public:
  explicit CaptureBuilder(std::endian order = std::endian::native) : swapped_(order != std::endian::native) {}

  CaptureBuilder& u8(std::uint8_t value) { return integer(value); }
  CaptureBuilder& u16(std::uint16_t value) { return integer(value); }
  CaptureBuilder& u32(std::uint32_t value) { return integer(value); }
  CaptureBuilder& u64(std::uint64_t value) { return integer(value); }
  CaptureBuilder& text(std::string_view value) {
    out_.insert(out_.end(), value.begin(), value.end());
    return *this;
  }
  CaptureBuilder& pad() {
    while (out_.size() % 4 != 0) out_.push_back(0);
    return *this;
  }

  // classic pcap
  CaptureBuilder& pcap_header(std::uint32_t magic = 0xa1b2c3d4, std::uint32_t link_field = 1, std::uint16_t minor = 4) {
    return u32(magic).u16(2).u16(minor).u32(0).u32(0).u32(65535).u32(link_field);
  }
  CaptureBuilder& pcap_packet(std::uint32_t seconds, std::uint32_t fraction, std::string_view bytes,
                              std::uint32_t original) {
    return u32(seconds).u32(fraction).u32(size(bytes)).u32(original).text(bytes);
  }

  // snoop, which is always big-endian: of a builder with std::endian::big
  CaptureBuilder& snoop_header(std::uint32_t data_link = 4, std::uint32_t version = 2) {
    return text("snoop").u8(0).u16(0).u32(version).u32(data_link);
  }
  CaptureBuilder& snoop_packet(std::uint32_t seconds, std::uint32_t microseconds, std::string_view bytes,
                               std::uint32_t original) {
    const std::uint32_t padded = (size(bytes) + 3) & ~3U;
    u32(original).u32(size(bytes)).u32(24 + padded).u32(0).u32(seconds).u32(microseconds).text(bytes);
    return text(std::string(padded - bytes.size(), '\0'));
  }

  // pcapng: begin(type) ... end(), or the ready-made blocks
  CaptureBuilder& begin(std::uint32_t type) {
    block_at_ = out_.size();
    return u32(type).u32(0);
  }
  CaptureBuilder& end() {
    pad();
    const auto length = static_cast<std::uint32_t>(out_.size() - block_at_ + 4);
    u32(length);
    return patch_u32(block_at_ + 4, length);
  }
  CaptureBuilder& option(std::uint16_t code, std::string_view value) {
    return u16(code).u16(static_cast<std::uint16_t>(value.size())).text(value).pad();
  }
  CaptureBuilder& begin_section() { return begin(0x0A0D0D0A).u32(0x1A2B3C4D).u16(1).u16(0).u64(UINT64_MAX); }
  CaptureBuilder& section() { return begin_section().end(); }
  CaptureBuilder& begin_interface(std::uint16_t link_type = 1, std::uint32_t snap_length = 0) {
    return begin(1).u16(link_type).u16(0).u32(snap_length);
  }
  CaptureBuilder& interface(std::uint16_t link_type = 1) { return begin_interface(link_type).end(); }
  CaptureBuilder& begin_packet(std::uint32_t interface, std::uint64_t ticks, std::string_view bytes,
                               std::uint32_t original) {
    begin(6).u32(interface).u32(static_cast<std::uint32_t>(ticks >> 32)).u32(static_cast<std::uint32_t>(ticks));
    return u32(size(bytes)).u32(original).text(bytes).pad();
  }
  CaptureBuilder& packet(std::uint32_t interface, std::uint64_t ticks, std::string_view bytes) {
    return begin_packet(interface, ticks, bytes, size(bytes)).end();
  }
  CaptureBuilder& journal(std::string_view entry) { return begin(9).text(entry).end(); }

  CaptureBuilder& patch_u32(std::size_t at, std::uint32_t value) {
    CaptureBuilder patch(*this, 0);
    patch.u32(value);
    std::copy(patch.out_.begin(), patch.out_.end(), out_.begin() + static_cast<std::ptrdiff_t>(at));
    return *this;
  }

  [[nodiscard]] const Bytes& bytes() const { return out_; }

 private:
  CaptureBuilder(const CaptureBuilder& same_order, int) : swapped_(same_order.swapped_) {}
  static std::uint32_t size(std::string_view bytes) { return static_cast<std::uint32_t>(bytes.size()); }

  template <class T>
  CaptureBuilder& integer(T value) {
    if (swapped_) value = std::byteswap(value);
    const auto* first = reinterpret_cast<const std::uint8_t*>(&value);
    out_.insert(out_.end(), first, first + sizeof value);
    return *this;
  }

  bool swapped_;
  Bytes out_;
  std::size_t block_at_ = 0;
};

}  // namespace tcpwhy::capfile::testing
