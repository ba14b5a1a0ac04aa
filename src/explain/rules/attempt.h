// Attempts to connect that came to nothing, however their program learnt of it: by connect() itself, by SO_ERROR, by a second connect(), by
// the call that came next, or not at all because it had waited long enough.
#pragma once

#include <chrono>
#include <vector>

#include "explain/story.h"

namespace tcpwhy::explain {

struct Attempt {
  const Call* connect = nullptr;   // null: its program's calls were not seen
  int error = 0;                   // 0: none came, and the program closed the socket
  EventId told;                    // where the error is first told; of none, the close()
  bool later = false;              // connect() had returned before (EINPROGRESS, EINTR)
  const Call* given_up = nullptr;  // that close()
  bool certain = true;             // false: an answer may have come right before it
};

// Who closes sooner has not waited for an answer.
inline constexpr base::Duration patience = std::chrono::milliseconds(100);

// Of the opener, in order of their calls.
std::vector<Attempt> failed_attempts(const Story& story);
// A SYN-ACK was seen, or the connection stood.
bool was_answered(const Story& story);
std::vector<const Segment*> syns_of(const Story& story);
const Segment* first_syn_ack(const Story& story);
// How many SYNs were sent.
OwnedText syn_count(const Story& story);

}  // namespace tcpwhy::explain
