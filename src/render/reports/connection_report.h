// One connection of a capture: what it was in two lines, every segment with what it was, and why it was reset if it was.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/language.h"
#include "explain/explain.h"
#include "explain/finding.h"
#include "explain/texts/reset_reasons.h"
#include "render/timeline/text.h"
#include "render/timeline/write_text.h"
#include "scan/connections/pick_connection.h"
#include "tcp/seen_connection.h"

namespace tcpwhy::render {

// What is wrong with it, as tables of connections tell it too (docs/CAPTURES.md).
struct ConnectionProblem {
  std::string id;  // "capture.loss"
  explain::Severity severity = explain::Severity::note;
  timeline::Grade grade = timeline::Grade::derived;
  std::uint64_t frame = 0;   // the evidence; 0: no single one
  std::uint64_t count = 1;   // of what it speaks of
  std::string text, remedy;  // in the report's language; no remedy: ""
};

struct ConnectionReport {
  const tcp::SeenConnection& seen;
  std::vector<ConnectionProblem> problems = {};  // worst first
  // With the calls of the time: made of the packets of `seen` and of calls; the connection in it. Absent: packets only.
  const explain::Explained* explained = nullptr;
  timeline::ConnectionIndex index = 0;
};

// Of a connection's packets alone. `picked` outlives it.
ConnectionReport report_of(const scan::Picked& picked, base::Language language);

// `all`: no run of segments is folded.
std::string connection_report(const ConnectionReport& report, const TextOptions& options, bool all);

// The JSON form, docs/JSON.md.
inline constexpr const char* connection_schema = "tcpwhy-connection/1";
void write_connection_json(const ConnectionReport& report, base::Language language, const WriteText& write);
std::string connection_json(const ConnectionReport& report, base::Language language);

// "127.0.0.1:80 closed first; in order", "reset by 127.0.0.1:80: data after close (derived)".
// `known`: why it was reset, where calls that were recorded beside it tell; null: as far as the packets do.
std::string ending_words(const tcp::SeenConnection& seen, base::Language language,
                         const explain::ResetReason* known = nullptr);

}  // namespace tcpwhy::render
