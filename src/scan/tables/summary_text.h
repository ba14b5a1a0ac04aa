// The summary and the table of connections as text, for a terminal of a given width.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/language.h"
#include "scan/connections/analysis.h"
#include "scan/tables/summary.h"

namespace tcpwhy::scan {

struct TextOptions {
  base::Language language = base::Language::en;
  std::size_t width = 80;
};

// `name`: of the capture, as the user gave it. `worst`: the connections to show, worst first.
std::string summary_text(const std::string& name, const Outcome& outcome, const Summary& summary,
                         std::span<const Kept> worst, const StreamNumbers& streams, const TextOptions& options);

// One line a connection under a line of headings.
std::string table_text(std::span<const Kept> rows, std::span<const Field* const> columns, const StreamNumbers& streams,
                       const TextOptions& options);

}  // namespace tcpwhy::scan
