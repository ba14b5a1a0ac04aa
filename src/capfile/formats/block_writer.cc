#include "capfile/formats/block_writer.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/check.h"

namespace tcpwhy::capfile {

void BlockWriter::begin(pcapng::BlockType type) {
  begin_ = out_.size();
  u32(type);
  u32(0);  // the length, which end() knows
}

std::size_t BlockWriter::end() {
  pad();
  const std::size_t length = out_.size() - begin_ + sizeof(std::uint32_t);
  TCPWHY_CHECK(length <= std::numeric_limits<std::uint32_t>::max());
  const auto written = static_cast<std::uint32_t>(length);
  u32(written);
  std::memcpy(out_.data() + begin_ + sizeof(std::uint32_t), &written, sizeof written);
  return length;
}

void BlockWriter::pad() { out_.resize(begin_ + pcapng::padded(out_.size() - begin_)); }

void BlockWriter::option(std::uint16_t code, std::span<const std::uint8_t> value) {
  const std::size_t length = std::min<std::size_t>(value.size(), std::numeric_limits<std::uint16_t>::max());
  u16(code);
  u16(static_cast<std::uint16_t>(length));
  bytes(value.first(length));
  pad();
}

void BlockWriter::text_option(std::uint16_t code, std::string_view value) {
  option(code, {reinterpret_cast<const std::uint8_t*>(value.data()), value.size()});
}

void BlockWriter::raw(const void* from, std::size_t count) {
  const auto* first = static_cast<const std::uint8_t*>(from);
  out_.insert(out_.end(), first, first + count);
}

}  // namespace tcpwhy::capfile
