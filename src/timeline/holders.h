// Who may hold a connection's socket: whoever made calls on it, and whoever was forked from one that had.
#pragma once

#include <map>
#include <optional>
#include <span>

#include "timeline/timeline.h"

namespace tcpwhy::timeline {

class Holders {
 public:
  Holders(const Timeline& timeline, ConnectionIndex connection, Side side);

  // It made calls on the socket.
  [[nodiscard]] bool is_owner(std::uint64_t process) const { return owners_.contains(process); }
  // It may have held the socket then: it is an owner that had not closed all that it had of it, or was forked, by whatever ancestor, from
  // one that had the socket.
  [[nodiscard]] bool may_hold(std::uint64_t process, base::WallTime at) const;
  // The end of a process that explains what left at `at`, where that is known to be the end of one: the nearest, told at most so long
  // before, and at most so long after (when somebody had waited for it).
  [[nodiscard]] std::optional<EventId> end_near(base::WallTime at, base::Duration before, base::Duration after) const;

 private:
  struct Owner {
    base::WallTime since;                                 // its first call; where that is accept(), when it came back
    base::WallTime inside_until = base::WallTime::min();  // a call in progress holds the socket, too
    std::vector<base::WallTime> closed;                   // its successful closes of the socket
    std::size_t more = 0;                                 // references that it made beside the first: dup(), SCM_RIGHTS
  };

  const Timeline& timeline_;
  std::map<std::uint64_t, Owner> owners_;  // by Lookups::process_of()
};

}  // namespace tcpwhy::timeline
