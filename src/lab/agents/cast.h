// The ends of an experiment: their processes, what their descriptors mean, and their calls and deaths as events of the
// recording.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/agents/agent.h"
#include "lab/lab.h"
#include "lab/language/expectation.h"
#include "lab/language/scenario.h"
#include "lab/link/link.h"
#include "recording/recording.h"

namespace tcpwhy::lab {

// What is known of a socket; stays known when its descriptor is closed.
struct SocketInfo {
  std::uint64_t cookie = 0;
  std::optional<wire::SocketAddress> local,
      remote;  // v4-mapped ones as the IPv4 address; no remote: it listens, or is not connected
};

// The calls of one line, under way or done.
struct Batch {
  struct Progress {
    bool entered = false, returned = false;
    std::uint32_t number = 0;  // of the recording
    base::WallTime entered_at, returned_at;
  };
  const CallStep* step = nullptr;
  std::uint32_t line = 0;
  std::vector<ReadyCall> calls;
  std::vector<Progress> progress;    // of each call
  std::vector<std::size_t> ends_at;  // for each call of the step: the index after its last system call
  std::string payload;
  bool done = false;
};

class Cast {
 public:
  Cast(const Scenario& scenario, Family family, recording::Recording& recording);
  ~Cast();

  // Starts every process that no fork() makes, each on its host.
  base::Status start(const Link* link);

  // Hands the calls of a step to their thread. The thread is not busy, its process alive.
  base::Status begin(const CallStep& step, std::uint32_t line);
  // Reads what has happened since: calls entered and returned, signals handled, processes ended. True if anything was
  // new.
  base::Result<bool> collect();
  [[nodiscard]] std::vector<int> fds() const;

  [[nodiscard]] bool alive(const std::string& who) const;
  [[nodiscard]] bool started(const std::string& who) const;
  [[nodiscard]] bool busy(const std::string& who) const;
  // Whether the thread sleeps in the call that it entered last.
  [[nodiscard]] bool blocked(const std::string& who) const;
  // The latest batch of a thread; nullptr before the first.
  [[nodiscard]] const Batch* batch(const std::string& who) const;
  // What call number `index` of the thread's latest step did.
  [[nodiscard]] CallOutcome outcome(const std::string& who, std::size_t index) const;
  // Of that call's last system call.
  [[nodiscard]] const Batch::Progress& progress(const std::string& who, std::size_t index) const;
  // waitpid(2)'s status of an end that has died.
  [[nodiscard]] std::optional<int> end_status(const std::string& who) const;

  // The socket behind a variable of an end; "": its latest connection.
  [[nodiscard]] SocketInfo socket(const std::string& who, const std::string& variable) const;
  // "" on lo; on a link the end whose host `who` lives on.
  [[nodiscard]] std::string host_of(const std::string& who) const;
  // Whether `address` is `who`'s: on a link by its host's address, on lo by the port.
  [[nodiscard]] bool owns(const std::string& who, const wire::SocketAddress& address) const;
  // On a link: whether `address` is that of the host ("client", "server").
  [[nodiscard]] bool is_on_host(const std::string& host, const wire::SocketAddress& address) const;

 private:
  struct Process;
  struct Thread;

  Process& process(const std::string& who) const;
  [[nodiscard]] const Thread& thread(const std::string& who) const;
  Thread& thread(const std::string& who);
  [[nodiscard]] std::int32_t child_number(const std::string& name) const;
  void note_ports(const std::string& end, const CallSpec& spec);
  [[nodiscard]] std::size_t slot_index(const std::string& who, std::size_t index) const;
  Resolved resolve(Process& process, const CallSpec& spec, const std::map<std::string, std::size_t>& made_here) const;
  [[nodiscard]] wire::SocketAddress address_of_peer(const Peer& peer) const;
  [[nodiscard]] wire::SocketAddress local_address(std::uint16_t port) const;
  [[nodiscard]] LinkEnd link_end(const std::string& end) const;
  [[nodiscard]] std::string root_of(std::string end) const;

  static void note_exec(Process& process, const Thread& thread, std::size_t index);
  bool collect_calls(Process& process, Thread& thread, bool process_ended);
  void enter(Process& process, Thread& thread, std::size_t index);
  void leave(Process& process, Thread& thread, std::size_t index);
  void learn(Process& process, const ReadyCall& call, const CallSlot& slot, const ExpectedCall& expected, bool last);
  bool collect_signals(Process& process);
  base::Status adopt_child(const std::string& name, const Process& parent, pid_t pid);
  void note_end(Process& process, int status);

  const Scenario& scenario_;
  Family family_;
  recording::Recording& recording_;
  std::vector<std::unique_ptr<Process>> processes_;  // in the order of the scenario's ends
  std::map<std::string, std::uint16_t> listening_;   // end -> the port it listens on
  std::map<std::uint16_t, std::string> ports_;       // on lo: port -> end
  std::uint32_t calls_ = 0;
};

}  // namespace tcpwhy::lab
