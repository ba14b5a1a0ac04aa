// What was recorded of real programs, for who has one minute: what is wrong first, in a sentence with what to do, then the rows that prove it;
// equal things once, with their count. What is as it should be only where it was asked for, or where there is little else.
#pragma once

#include <cstddef>
#include <string>

#include "base/language.h"
#include "explain/explain.h"
#include "render/timeline/text.h"

namespace tcpwhy::render {

struct TraceOptions {
  TextOptions text;
  bool all = false;  // every connection with its whole timeline and everything that was found
};

// Up to this many connections are shown with their timelines though nothing is wrong with them.
inline constexpr std::size_t shown_in_full = 3;
// Of more, so many kinds of what is wrong, and so many lines of connections with which nothing is.
inline constexpr std::size_t most_kinds = 10, most_lines = 20;

std::string trace_report(const explain::Explained& explained, const TraceOptions& options);

}  // namespace tcpwhy::render
