// Test support: the installed tshark as the reference of its analysis.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/testing/command_output.h"
#include "base/testing/temporary_folder.h"
#include "compat/tshark/table.h"

namespace tcpwhy::compat::tshark::testing {

using base::testing::output_of;
using base::testing::TemporaryFolder;

using Cells = std::vector<std::string>;
using Table = std::map<std::uint64_t, Cells>;  // by frame.number, all columns

// The analysis changes from one release of Wireshark to the next.
inline bool tshark_4_0_is_installed() {
  return output_of("tshark --version 2>/dev/null").starts_with("TShark (Wireshark) 4.0.");
}

inline Cells cells_of(std::string_view line) {
  Cells cells(1);
  for (const char c : line) {
    if (c == '\t') {
      cells.emplace_back();
    } else {
      cells.back() += c;
    }
  }
  return cells;
}

inline Table table_of(std::string_view text) {
  Table table;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    Cells cells = cells_of(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (cells.front() == "frame.number") continue;
    cells.resize(field_names().size());  // our own class is no part of the comparison
    table.emplace(std::stoull(cells.front()), std::move(cells));
  }
  return table;
}

inline Table tshark_table(const std::filesystem::path& file) {
  std::string fields;
  for (const std::string_view name : field_names()) fields += fmt::format(" -e {}", name);
  return table_of(output_of(fmt::format("tshark -n -r '{}' -Y tcp -T fields{} 2>/dev/null", file.string(), fields)));
}

// What could be read; tshark too prints the frames before damage.
inline Table our_table(scan::FrameReader& frames) {
  std::string text;
  const auto written = write_table(frames, [&text](std::string_view part) {
    text += part;
    return true;
  });
  (void)written;
  return table_of(text);
}

inline Table our_table(const std::filesystem::path& file) {
  auto frames = scan::FrameReader::open(file.string());
  return frames ? our_table(*frames) : Table{};
}

struct Difference {
  std::uint64_t frame = 0;
  std::string what;  // "tcp.stream: 3, ours 4; ..."
};

inline std::vector<Difference> differences(const Table& theirs, const Table& ours) {
  std::vector<Difference> found;
  for (const auto& [frame, cells] : theirs) {
    const auto at = ours.find(frame);
    if (at == ours.end()) {
      found.push_back({frame, "no row of ours"});
      continue;
    }
    std::string what;
    for (std::size_t i = 1; i < cells.size(); ++i) {
      if (cells[i] == at->second[i]) continue;
      what += fmt::format("{}{}: {}, ours {}", what.empty() ? "" : "; ", field_names()[i], cells[i], at->second[i]);
    }
    if (!what.empty()) found.push_back({frame, what});
  }
  for (const auto& [frame, cells] : ours) {
    if (!theirs.contains(frame)) found.push_back({frame, "a row of ours only"});
  }
  return found;
}

}  // namespace tcpwhy::compat::tshark::testing
