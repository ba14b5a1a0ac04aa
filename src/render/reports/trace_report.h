// What was recorded of real programs: an overview, then each connection that has something to say with its summary in words, its
// timeline and its findings; the others one line each.
#pragma once

#include <string>
#include <vector>

#include "base/language.h"
#include "explain/explain.h"
#include "render/timeline/text.h"

namespace tcpwhy::render {

struct TraceOptions {
  TextOptions text;
  bool all = false;                   // the timeline of every connection
  std::vector<ConnectionIndex> only;  // these connections alone, with their timelines; empty: no choice
};

// Up to this many connections are shown in full without being asked.
inline constexpr std::size_t shown_in_full = 3;

std::string trace_report(const explain::Explained& explained, const TraceOptions& options);

// "curl 127.0.0.1:40000 → nginx 127.0.0.1:80": names where they are known.
std::string ends_words(const timeline::Timeline& timeline, ConnectionIndex index, base::Language language);
// "12.3 ms, 78 B sent, 612 B received; curl closed first, by close(); in order": without the ends. Escaped.
std::string summary_words(const timeline::Timeline& timeline, ConnectionIndex index, base::Language language);

}  // namespace tcpwhy::render
