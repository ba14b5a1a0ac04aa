// What the rules of a problem ask of a record, and its text again. Private to both.
#pragma once

#include <algorithm>
#include <cstdint>

#include "scan/connections/record.h"

namespace tcpwhy::scan {

inline const EndRecord& more_stuck(const ConnectionRecord& record) {
  const auto& ends = record.ends;
  return ends[opener].unanswered_resends >= ends[listener].unanswered_resends ? ends[opener] : ends[listener];
}

// Where nothing but timers made an end send again, lost data and lost acknowledgments look alike. And where nothing would tell that what was
// sent again had arrived after all, so do loss and delay.
inline bool lost_data_shows(const ConnectionRecord& record) {
  return record.both_seen() && std::ranges::any_of(record.ends, [](const EndRecord& end) {
           return end.fast_retransmissions > 0 && end.shows_needless;
         });
}

// Hosts take at least that (RFC 9293 3.7.1: "SendMSS ... 536"): who never takes a whole one has next to no buffer. What it was sent at first may
// have been within the window of its SYN, which no scale applies to.
inline bool is_limited_by_tiny_window(const EndRecord& sender, const EndRecord& receiver) {
  constexpr std::uint32_t least_mss = 536, enough = 20;
  return receiver.window < least_mss && sender.window_full >= enough &&
         std::uint64_t{sender.window_full} * 2 >= sender.data_segments;
}

// An older connection's end answered the SYN: whether who sent that refused the answer.
inline bool old_was_reset(const ConnectionRecord& record) {
  return record.ends[opener].resets > 0 || record.evidence.old_was_reset;
}

}  // namespace tcpwhy::scan
