// The few words that views need around the findings, in both languages, and the short forms of calls and segments.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/language.h"
#include "explain/finding.h"
#include "timeline/timeline.h"

namespace tcpwhy::render {

enum class Word : std::uint8_t {
  because_call,     // {who} {call} {row}
  because_segment,  // {row}
  because_timer,    // {timer} {row}
  because_exit,
  because_exit_of,
  because_thread_exit,
  because_other_exit,
  because_unknown,
  because_call_elsewhere,     // no call of the recording
  because_segment_elsewhere,  // no row of the timeline
  forgotten,                  // {state}
  given_up,                   // {state}
  state_moved,                // {from} {to}
  segment_left,               // {flags and length} {cause}
  reset_sent,
  reset_received,
  socket_error,
  dropped,  // {reason}
  dropped_leaving,
  dropped_arriving,  // {flags} {reason}
  expected_but,      // {expected} {actual} {line}
  answer,
  in_short,
  experiment,
  contrast,
  shown_above,       // {title} {question}
  opening_elided,    // {count}
  row,               // {number}
  rows,              // {rows}
  from_experiments,  // {titles}
  what_to_do,
  legend,
  not_found,  // {rules}
  failed,
  nothing_found,
  frame,           // {number}
  folded,          // {segments} {what} {duration}
  folded_bytes,    // {bytes} {from} {to}
  rows_folded,     // {first} {last}
  calls_repeated,  // {count} {duration}
  left_out,        // {segments}
  frame_evidence,  // {frame}
  or_else,         // {what}
};
std::string_view word(Word word, base::Language language);
std::string_view timer_words(timeline::Timer timer, base::Language language);
// What the id of a kernel cause says beyond the call, the segment or the timer itself: "close.unread_data" -> "unread data". Empty
// for those that say no more; nothing for an id that has no row.
std::optional<std::string_view> kernel_cause_words(std::string_view id, base::Language language);

// "[S.] 0 ack 1 mss 65495 sackOK ts wscale 7", "[P.] 1:15 ack 1 (14)": relative numbers, tcpdump's flags.
std::string segment_words(const timeline::Segment& segment);
// The same without what its class adds ("again"); `seq` and `ack` are the relative numbers.
std::string segment_words(const wire::TcpSegment& tcp, std::int64_t seq, std::int64_t ack);

}  // namespace tcpwhy::render
