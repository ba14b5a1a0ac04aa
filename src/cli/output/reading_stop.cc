#include "cli/output/reading_stop.h"

#include <fmt/format.h>

#include <cstring>

#include "cli/output/output.h"

namespace tcpwhy::cli {

void ReadingStop::begin(bool waits) {
  waits_ = waits;
  signals_.emplace();
}

bool ReadingStop::asks_to_stop() {
  if (stopped_) return true;
  if (given_up_) {
    stopped_ = true;
  } else if (signals_ && observe::StopOnSignals::requested()) {
    constexpr auto patience = std::chrono::seconds(1);
    const auto now = std::chrono::steady_clock::now();
    if (!asked_) asked_ = now;
    if (!waits_ || now - *asked_ >= patience) stopped_ = true;
  }
  return stopped_;
}

void ReadingStop::reading_is_over() {
  if (signals_) signals_->end_at_once_from_now_on();
}

int ReadingStop::finish(int status) const {
  if (!stopped_by_signal()) return status;
  const int signal = observe::StopOnSignals::signal();
  warn(fmt::format("not the whole capture: SIG{} ended the reading", sigabbrev_np(signal)));
  observe::StopOnSignals::die_of_it();
  return 128 + signal;  // it is blocked
}

}  // namespace tcpwhy::cli
