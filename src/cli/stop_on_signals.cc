#include "cli/stop_on_signals.h"

#include <unistd.h>

namespace tcpwhy::cli {
namespace {

std::atomic<bool> stop_requested = false;
std::atomic<int> stop_signal = 0;
static_assert(std::atomic<int>::is_always_lock_free);

void request_stop(int signal_number) {
  stop_signal = signal_number;
  stop_requested = true;
}

}  // namespace

StopOnSignals::StopOnSignals() {
  struct sigaction action{};
  action.sa_handler = request_stop;
  for (std::size_t i = 0; i < std::size(ending_signals); ++i) {
    sigaction(ending_signals[i], nullptr, &previous_[i]);
    if (previous_[i].sa_handler != SIG_IGN) sigaction(ending_signals[i], &action, nullptr);  // nohup(1) stays nohup
  }
}

StopOnSignals::~StopOnSignals() {
  for (std::size_t i = 0; i < std::size(ending_signals); ++i) sigaction(ending_signals[i], &previous_[i], nullptr);
}

const std::atomic<bool>& StopOnSignals::requested() { return stop_requested; }
int StopOnSignals::signal() { return stop_signal; }

void StopOnSignals::die_of_it() {
  if (!stop_requested) return;
  ::signal(stop_signal, SIG_DFL);
  kill(getpid(), stop_signal);
}

}  // namespace tcpwhy::cli
