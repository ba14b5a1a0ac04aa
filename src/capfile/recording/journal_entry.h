// One entry in Journal Export Format (systemd.io/JOURNAL_EXPORT_FORMATS): NAME=value lines, or, where a value is no
// printable text, NAME, a line feed, the length as 64 bits little-endian, the value, a line feed.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tcpwhy::capfile {

void append_field(std::string& entry, std::string_view name, std::string_view value);

struct JournalField {
  std::string_view name, value;
};

// The fields of `entry` in order, as views into it; nothing if it is not in the format (a length beyond its end, a line
// without '=', more than a million fields). Fields may repeat.
std::optional<std::vector<JournalField>> parse_journal_entry(std::string_view entry);

// The value of the first field of that name.
std::optional<std::string_view> find_field(const std::vector<JournalField>& fields, std::string_view name);

}  // namespace tcpwhy::capfile
