// What ends the reading of captures before they end: SIGINT, SIGTERM or SIGHUP, or that nobody reads what is written. What was read until
// then is shown.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "base/result.h"
#include "observe/stop_on_signals.h"

namespace tcpwhy::cli {

class ReadingStop {
 public:
  // From here on signals do not end the program. `waits`: the input is a pipe. Whoever writes into it has often got the same signal
  // (Ctrl-C goes to all programs of a pipeline) and writes its last bytes: they are read, for a second at most.
  void begin(bool waits);
  // Nobody reads what would come.
  void give_up() { given_up_ = true; }
  // Whether no more is to be read. For any thread.
  [[nodiscard]] bool asks_to_stop();
  // The rest may take long: another signal ends the program at once.
  void reading_is_over();

  // Whether the reading has ended because of it.
  [[nodiscard]] bool stopped() const { return stopped_; }
  [[nodiscard]] bool stopped_by_signal() const { return stopped_ && !given_up_; }
  // Reports an error of the reading and gives its exit status; 0 if the reading has been ended, for what that cuts off is not damaged.
  [[nodiscard]] int report_unless_stopped(const base::Error& error) const;
  // Says so, and dies of the signal as a shell expects, if one has ended the reading; else gives `status`.
  int finish(int status) const;

 private:
  std::optional<observe::StopOnSignals> signals_;
  bool waits_ = false;
  std::atomic<std::int64_t> asked_ns_ =
      0;  // when it was first seen that a signal has come, by the steady clock; 0: not yet
  std::atomic<bool> given_up_ = false, stopped_ = false;
};

}  // namespace tcpwhy::cli
