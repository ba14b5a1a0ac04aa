#include "capfile/recording/journal_entry.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/text.h"
#include "capfile/formats/byte_order.h"

namespace tcpwhy::capfile {
namespace {

constexpr std::size_t length_bytes = 8;
constexpr std::size_t max_fields = 1U << 20;  // an entry of empty lines must not cost its size many times over

bool is_plain(std::string_view value) { return base::escape_controls(value) == value; }

}  // namespace

void append_field(std::string& entry, std::string_view name, std::string_view value) {
  entry += name;
  if (is_plain(value)) {
    entry += '=';
  } else {
    entry += '\n';
    std::array<std::uint8_t, length_bytes> length{};
    for (std::size_t i = 0; i < length_bytes; ++i) length[i] = static_cast<std::uint8_t>(value.size() >> (8 * i));
    entry.append(reinterpret_cast<const char*>(length.data()), length.size());
  }
  entry += value;
  entry += '\n';
}

std::optional<std::vector<JournalField>> parse_journal_entry(std::string_view entry) {
  std::vector<JournalField> fields;
  while (!entry.empty()) {
    if (fields.size() == max_fields) return std::nullopt;
    const std::size_t line_end = std::min(entry.find('\n'), entry.size());
    const std::string_view line = entry.substr(0, line_end);
    entry.remove_prefix(std::min(line_end + 1, entry.size()));
    if (line.empty()) continue;  // the empty line after an entry
    if (const std::size_t equals = line.find('='); equals != std::string_view::npos) {
      fields.push_back({line.substr(0, equals), line.substr(equals + 1)});
      continue;
    }
    if (entry.size() < length_bytes) return std::nullopt;
    const std::uint64_t length = load_little_endian_64(reinterpret_cast<const std::uint8_t*>(entry.data()));
    entry.remove_prefix(length_bytes);
    if (length >= entry.size() || entry[length] != '\n') return std::nullopt;
    fields.push_back({line, entry.substr(0, length)});
    entry.remove_prefix(length + 1);
  }
  return fields;
}

std::optional<std::string_view> find_field(const std::vector<JournalField>& fields, std::string_view name) {
  const auto found = std::ranges::find(fields, name, &JournalField::name);
  if (found == fields.end()) return std::nullopt;
  return found->value;
}

}  // namespace tcpwhy::capfile
