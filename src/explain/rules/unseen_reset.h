// A reset that no tap and no probe saw (ptrace, a strace log): what calls, options, errors and sampled states tell of it. Not for other rooms.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "explain/story.h"

namespace tcpwhy::explain {

struct UnseenReset {
  Side from = timeline::opener;  // whose kernel sent it
  std::string_view rule;         // a row of texts/reset_reasons.h
  Grade grade = Grade::derived;
  EventId by;                           // the call that sent it, or the end of a process; of an answer invalid
  const Call* answered = nullptr;       // the call whose data it answered
  std::optional<std::uint64_t> unread;  // bytes, where they were counted
  std::vector<EventId> evidence;
  EventId about;

  [[nodiscard]] bool at_exit(const Story& story) const;
};
// Of a connection without packets, whose resets the kernel did not tell either. Absent: there was none, or why there was is not known.
std::optional<UnseenReset> unseen_reset(const Story& story);

// The earliest event by which that side's FIN is known to have reached the other side; of a connection without packets.
std::optional<EventId> unseen_fin(const Story& story, Side from);

// The setsockopt(SO_LINGER) of {on, 0 seconds} that held at that time; null: none.
const Call* linger_zero_before(const Story& story, Side side, base::WallTime when);

// Another program took the place of one that had used the socket: close-on-exec may have closed it.
std::optional<EventId> execve_after_last_call(const Story& story, Side side);

}  // namespace tcpwhy::explain
