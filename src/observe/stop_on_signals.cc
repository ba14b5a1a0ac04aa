#include "observe/stop_on_signals.h"

#include <unistd.h>

namespace tcpwhy::observe {
namespace {

constexpr int patience = 3;  // signals

std::atomic<bool> stop_requested = false, of_terminal = false;
std::atomic<int> stop_signal = 0, stop_times = 0;
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

void request_stop(int signal_number, siginfo_t* info, void*) {
  if (stop_times.fetch_add(1) + 1 >= patience) {
    ::signal(signal_number, SIG_DFL);
    ::raise(signal_number);  // taken when this handler returns
    return;
  }
  if (stop_requested) return;
  stop_signal = signal_number;
  of_terminal = info != nullptr && info->si_code == SI_KERNEL;
  stop_requested = true;
}

}  // namespace

StopOnSignals::StopOnSignals() {
  struct sigaction action{};
  action.sa_sigaction = request_stop;
  action.sa_flags = SA_SIGINFO;  // calls are not restarted: who waits is to hear of it
  for (std::size_t i = 0; i < std::size(ending_signals); ++i) {
    sigaction(ending_signals[i], nullptr, &previous_[i]);
    if (previous_[i].sa_handler != SIG_IGN) sigaction(ending_signals[i], &action, nullptr);  // nohup(1) stays nohup
  }
}

StopOnSignals::~StopOnSignals() { restore(); }

void StopOnSignals::restore() {
  for (std::size_t i = 0; i < std::size(ending_signals); ++i) sigaction(ending_signals[i], &previous_[i], nullptr);
}

const std::atomic<bool>& StopOnSignals::requested() { return stop_requested; }
int StopOnSignals::signal() { return stop_signal; }
int StopOnSignals::times() { return stop_times; }
bool StopOnSignals::from_terminal() { return of_terminal; }

void StopOnSignals::end_at_once_from_now_on() {
  restore();
  if (stop_times > 1) die_of_it();
}

void StopOnSignals::die_of_it() {
  if (!stop_requested) return;
  ::signal(stop_signal, SIG_DFL);
  kill(getpid(), stop_signal);
}

}  // namespace tcpwhy::observe
