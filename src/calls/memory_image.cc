#include "calls/memory_image.h"

#include <algorithm>

namespace tcpwhy::calls {

std::uint64_t MemoryImage::put(std::span<const std::byte> bytes) {
  constexpr std::uint64_t page = 0x1000;
  const std::uint64_t address = next_;
  put_at(address, bytes);
  next_ += (bytes.size() / page + 2) * page;  // a hole between any two
  return address;
}

std::uint64_t MemoryImage::put_text(std::string_view text) { return put(std::as_bytes(std::span(text))); }

void MemoryImage::put_at(std::uint64_t address, std::span<const std::byte> bytes) {
  std::vector<std::uint8_t>& piece = pieces_[address];
  piece.resize(bytes.size());
  std::ranges::transform(bytes, piece.begin(), [](std::byte byte) { return std::to_integer<std::uint8_t>(byte); });
}

std::vector<std::uint8_t> MemoryImage::read(std::uint64_t address, std::size_t length) const {
  auto piece = pieces_.upper_bound(address);
  if (piece == pieces_.begin()) return {};
  --piece;
  const std::uint64_t offset = address - piece->first;
  if (offset >= piece->second.size()) return {};
  const std::span rest = std::span(piece->second).subspan(static_cast<std::size_t>(offset));
  const auto there = rest.first(std::min(length, rest.size()));
  return {there.begin(), there.end()};
}

}  // namespace tcpwhy::calls
