// The summary and the table of connections as text, for a terminal of a given width.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/language.h"
#include "scan/connections/analysis.h"
#include "scan/tables/page.h"
#include "scan/tables/summary/examples.h"
#include "scan/tables/summary/summary.h"

namespace tcpwhy::scan {

// Whether a capture was read to its end.
enum class Extent : std::uint8_t {
  whole,
  cut,      // damaged, or it ended in the middle
  stopped,  // by a signal
};
base::Text words_for(Extent extent);  // what a reader has to know; empty of a whole one

struct SummaryView {
  std::string name;  // of the capture, as the user gave it
  const Outcome& outcome;
  Extent extent = Extent::whole;
  const Summary& summary;
  std::optional<std::uint64_t> of;  // how many connections there are, where only some were wanted
  std::span<const Example> first;   // to look at
  const StreamNumbers& streams;
};
std::string summary_text(const SummaryView& view, const TextOptions& options);

// "12 of 150,000 connections", or all of them.
std::string connections_in_words(std::uint64_t connections, std::optional<std::uint64_t> of, base::Language language);

struct TableView {
  std::span<const Kept> rows;
  std::span<const Field* const> columns;
  const StreamNumbers& streams;
  std::uint64_t wanted = 0, of = 0;  // connections that would have a row, were there room; and that there are
  Extent extent = Extent::whole;
};
// One line a connection under a line of headings; below them what is not there.
std::string table_text(const TableView& view, const TextOptions& options);

}  // namespace tcpwhy::scan
