// The timeline as text for a terminal: one column per end, the wire between, the cause of each packet with its grade, and the
// findings below. At least 80 columns; from 120 the causes stand beside the packets.
#pragma once

#include <string>

#include "base/language.h"
#include "explain/explain.h"
#include "explain/finding.h"
#include "render/timeline/rows.h"

namespace tcpwhy::render {

struct TextOptions {
  base::Language language = base::Language::en;
  std::size_t width = 80;      // columns; less than 80 counts as 80
  bool color = false;          // ANSI colours
  bool elide_opening = false;  // one line instead of the rows that open the connection
};

std::string timeline_text(const timeline::Timeline& timeline, const Rows& rows, const TextOptions& options);
// " [observed; rows 2–4]"; `cited`: of Rows::rows_of().
std::string evidence_words(Grade grade, const std::string& cited, base::Language language);
// A finding with its evidence, and what to do about it if `advice` is not empty; findings, each with its own advice.
std::string finding_text(const explain::Finding& finding, const std::string& advice, const Rows& rows,
                         const TextOptions& options);
std::string findings_text(const std::vector<explain::Finding>& findings, const Rows& rows, const TextOptions& options);

// Title, timeline and findings of one recording.
std::string recording_text(const explain::Explained& explained, const TextOptions& options);

// Words in a colour, if colours are wanted. Names say what they are for, the table says what they look like.
enum class Style : std::uint8_t { plain, heading, client, server, reset, dim, good, bad, changed };
std::string styled(Style style, std::string_view text, bool color);

}  // namespace tcpwhy::render
