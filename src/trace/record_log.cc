#include "trace/record_log.h"

#include <algorithm>
#include <cstring>

namespace tcpwhy::trace {
namespace {

constexpr std::size_t piece_words = (4U << 20U) / 4;
constexpr std::size_t bits = 32;  // of a word

constexpr std::size_t words_of(std::size_t bytes) { return (bytes + 3) / 4; }
constexpr std::size_t bitmap_words(std::size_t words) { return (words + bits - 1) / bits; }

// A packed record: its kind << 18 | its length in bytes; the bitmap; the words that differ.
constexpr unsigned length_bits = 18;

}  // namespace

RecordLog::Before& RecordLog::Memory::of(std::uint32_t kind, std::size_t bytes) {
  const auto hash = static_cast<std::uint32_t>(bytes / 8 * 32 + kind) * 0x9e37'79b1U;
  auto& before = before_[(hash >> 16U) % places];
  if (!before) before = std::make_unique<Before>();
  return *before;
}

void RecordLog::append(std::uint32_t kind, std::span<const std::byte> record) {
  const std::size_t words = words_of(record.size()), bitmap = bitmap_words(words);
  if (pieces_.empty() || !pieces_.back().has_room_for(1 + bitmap + words)) pieces_.emplace_back(piece_words);
  Piece& piece = pieces_.back();
  std::uint32_t* const begin = piece.end();
  std::uint32_t* out = begin;
  *out++ = kind << length_bits | static_cast<std::uint32_t>(record.size());
  std::uint32_t* marks = out;
  out += bitmap;
  Before& before = memory_.of(kind, record.size());
  const std::byte* at = record.data();
  for (std::size_t first = 0; first < words; first += bits, ++marks) {
    const std::size_t count = std::min(bits, words - first);
    std::uint32_t differ = 0;
    for (std::size_t i = 0; i < count; ++i, at += 4) {
      std::uint32_t word = 0;
      if (first + i + 1 == words && record.size() % 4 != 0)
        std::memcpy(&word, at, record.size() % 4);
      else
        std::memcpy(&word, at, 4);
      std::uint32_t change = word;
      if (first + i < remembered_words) {
        change ^= before.words[first + i];
        before.words[first + i] = word;
      }
      *out = change;  // stays only where it is not zero
      out += change != 0;
      differ |= std::uint32_t{change != 0} << i;
    }
    *marks = differ;
  }
  bytes_ += static_cast<std::size_t>(out - begin) * 4;
  piece.set_end(out);
  ++count_;
}

std::size_t RecordLog::unpack(const std::uint32_t*& at, std::vector<std::uint64_t>& record, Memory& memory) {
  const std::uint32_t start = *at++;
  const std::size_t bytes = start & ((1U << length_bits) - 1);
  const std::size_t words = words_of(bytes);
  const std::uint32_t* marks = at;
  at += bitmap_words(words);
  record.resize(bytes / 8 + 1);
  auto* out = reinterpret_cast<std::byte*>(record.data());
  Before& before = memory.of(start >> length_bits, bytes);
  for (std::size_t i = 0; i < words; ++i, out += 4) {
    std::uint32_t word = (marks[i / bits] >> (i % bits) & 1U) != 0 ? *at++ : 0;
    if (i < remembered_words) {
      word ^= before.words[i];
      before.words[i] = word;
    }
    std::memcpy(out, &word, 4);
  }
  return bytes;
}

}  // namespace tcpwhy::trace
