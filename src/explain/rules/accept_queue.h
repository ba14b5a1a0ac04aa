// How many finished connections waited at a listener for accept(), and how many might, at any moment: from what was recorded of them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "explain/finding.h"

namespace tcpwhy::explain {

class AcceptQueues {
 public:
  explicit AcceptQueues(const timeline::Timeline& timeline);

  struct Full {
    std::int64_t waiting = 0, backlog = 0;
    std::string listener;                        // who is to accept
    std::optional<base::Duration> since_accept;  // it had accepted one so long before; absent: none
    std::optional<base::Duration> until_accept;  // it accepted the next one so long after; absent: none
    std::vector<timeline::EventId> evidence;     // listen(), what completed the latest that waits
  };
  // What is known of the queue of that port being full at that moment. (sk_acceptq_is_full(): more than the backlog wait.) Nothing: it was
  // not, or it is not known: its listen() was not seen, several listen on that port, or more was asked for than the kernel grants.
  [[nodiscard]] std::optional<Full> full_at(std::uint16_t port, base::WallTime at) const;

 private:
  struct Move {
    base::WallTime at;
    std::int64_t waiting = 0;  // after it
    timeline::EventId event;   // what completed or accepted a connection
    bool accepted = false;
    std::optional<base::WallTime> last_accept, next_accept;  // up to it, after it
    std::optional<timeline::EventId> last_completion;        // up to it
  };
  void see(const timeline::Connection& connection);
  void add_up();

  const timeline::Timeline& timeline_;
  std::map<std::uint16_t, std::vector<Move>> moves_;  // of the ports on which a listen() was seen
  // That succeeded; in order of time.
  struct Listen {
    base::WallTime at;
    const timeline::Call* call = nullptr;
    bool several = false;  // by then more than one socket had listened
  };
  std::map<std::uint16_t, std::vector<Listen>> listens_;
};

}  // namespace tcpwhy::explain
