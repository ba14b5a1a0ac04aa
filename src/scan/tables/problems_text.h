// What is wrong with the connections of a capture, one by one and the worst first: `read -o findings`.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "scan/tables/page.h"
#include "scan/tables/summary/summary.h"

namespace tcpwhy::scan {

struct ProblemsView {
  std::string_view name;         // of the capture
  std::span<const Kept> rows;    // connections with which something is wrong, in the order in which they are told
  const StreamNumbers& streams;  // sorted
  std::uint64_t wrong = 0;       // connections with which something is wrong, shown or not
};
std::string problems_text(const ProblemsView& view, const TextOptions& options);

}  // namespace tcpwhy::scan
