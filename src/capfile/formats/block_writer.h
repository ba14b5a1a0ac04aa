// Writes pcapng blocks, in this machine's byte order, into a growing buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "capfile/formats/block_types.h"

namespace tcpwhy::capfile {

class BlockWriter {
 public:
  explicit BlockWriter(std::vector<std::uint8_t>& out) : out_(out) {}

  void begin(pcapng::BlockType type);
  // Pads to 32 bits and writes the block's length at both places. Returns the length.
  std::size_t end();

  void u16(std::uint16_t value) { raw(&value, sizeof value); }
  void u32(std::uint32_t value) { raw(&value, sizeof value); }
  void u64(std::uint64_t value) { raw(&value, sizeof value); }
  void bytes(std::span<const std::uint8_t> value) { raw(value.data(), value.size()); }
  void text(std::string_view value) { raw(value.data(), value.size()); }
  void pad();

  void option(std::uint16_t code, std::span<const std::uint8_t> value);
  // Cut at 65,535 bytes, the most that an option holds.
  void text_option(std::uint16_t code, std::string_view value);
  void end_options() { u32(pcapng::end_of_options); }

 private:
  void raw(const void* from, std::size_t count);

  std::vector<std::uint8_t>& out_;
  std::size_t begin_ = 0;
};

}  // namespace tcpwhy::capfile
