// Groups of connections (--by) as text, CSV and JSON.
#pragma once

#include <optional>
#include <string>

#include "scan/tables/groups/groups.h"
#include "scan/tables/summary/summary_text.h"

namespace tcpwhy::scan {

struct GroupsView {
  std::string name;  // of the capture, as the user gave it
  Extent extent = Extent::whole;
  const Groups& groups;
  const Groups::Shown& shown;
  std::optional<std::uint64_t> of;  // how many connections there are, where only some were wanted
};

// A line of numbers for each group, below it how its connections ended and what was wrong with them.
std::string groups_text(const GroupsView& view, const TextOptions& options);

// A line for each, those that stand for all others (`others`) last.
std::string groups_csv(const GroupsView& view);
std::string groups_ndjson(const GroupsView& view);
// One document, docs/JSON.md.
inline constexpr const char* groups_schema = "tcpwhy-groups/1";
std::string groups_json(const GroupsView& view);

}  // namespace tcpwhy::scan
