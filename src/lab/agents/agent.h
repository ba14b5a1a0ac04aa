// An end of an experiment: a real process that makes the calls it is told to make, one after the other in each of its
// threads.
//
//   conductor ── SOCK_SEQPACKET, one per thread: a batch of calls out, "done" back ──> agent
//             <── AgentPage, shared memory: when each call was entered and returned, and with what ──
//
// The page survives the process, so that a call from which it never came back (SIGPIPE, exit) is still known. The
// agent's own descriptors have high numbers: the experiment's are 3, 4, 5, and a closed one is really unused.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "lab/agents/call.h"
#include "lab/link/netns.h"

namespace tcpwhy::lab {

// Written by one thread of an agent.
struct ThreadPage {
  static constexpr std::size_t calls_in_a_batch = 64;

  std::atomic<std::int32_t> host_tid{0};  // as /proc shows it; 0: not started
  CallSlot calls[calls_in_a_batch];
};

struct AgentPage {
  static constexpr std::size_t threads_at_most = 5;

  std::atomic<std::int32_t> host_pid{0};
  SignalLog signals;
  ThreadPage threads[threads_at_most];
};

// The parent's side of one process. Created before the process, so that fork() finds everything ready.
class Agent {
 public:
  struct Plan {
    std::string name;         // of the end; its comm
    std::size_t threads = 1;  // the first one included
  };
  static base::Result<Agent> prepare(Plan plan);

  Agent(Agent&&) noexcept = default;
  Agent& operator=(Agent&&) noexcept = default;
  // Kills the process if it still runs, and waits for it.
  ~Agent();

  // Forks the process into `home` (nullptr: where the caller is). `children` may be made by its fork() later: number i
  // of a fork call is children[i]; theirs are `descendants` of the same list. All outlive the call, not longer.
  base::Status start(const NetNamespace* home, std::span<Agent* const> children);
  // Takes over the process that the parent's fork() has made, whose pid it returned.
  base::Status adopt(pid_t pid);

  [[nodiscard]] bool running() const { return pidfd_.valid(); }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }  // readable when it has ended
  [[nodiscard]] int channel(std::size_t thread) const { return channels_[thread].mine.get(); }
  [[nodiscard]] std::size_t threads() const { return channels_.size(); }
  [[nodiscard]] const std::string& name() const { return plan_.name; }
  [[nodiscard]] AgentPage& page() { return *page_; }
  [[nodiscard]] const AgentPage& page() const { return *page_; }

  // Hands a batch to a thread that is not busy; its slots are emptied first.
  base::Status begin(std::size_t thread, std::span<const ReadyCall> calls, std::string_view payload);
  // True once "done" of the batch has come. Does not block.
  bool take_done(std::size_t thread);
  // Whether the process has become another program by exec. (Its channel does not tell: relatives hold copies.)
  [[nodiscard]] bool runs_another_program() const;
  // Whether the thread sleeps in the kernel now (/proc). False also when that can't be read.
  [[nodiscard]] bool sleeps(std::size_t thread) const;
  // The status of waitpid(2) if the process has ended. It is gone then.
  std::optional<int> take_end();

 private:
  struct Channel {
    base::UniqueFd mine, theirs;
  };
  struct Unmap {
    void operator()(AgentPage* page) const;
  };

  Agent() = default;
  [[noreturn]] void live(const NetNamespace* home, std::span<Agent* const> children);

  Plan plan_;
  std::unique_ptr<AgentPage, Unmap> page_;
  std::vector<Channel> channels_;
  pid_t pid_ = -1;
  base::UniqueFd pidfd_;
};

}  // namespace tcpwhy::lab
