// SIGINT, SIGTERM and SIGHUP end what a command does; it clears up, then the program dies of the signal, as a shell expects.
#pragma once

#include <atomic>
#include <csignal>
#include <iterator>

namespace tcpwhy::cli {

class StopOnSignals {
 public:
  StopOnSignals();
  StopOnSignals(const StopOnSignals&) = delete;
  StopOnSignals& operator=(const StopOnSignals&) = delete;
  ~StopOnSignals();

  // Set when one has come.
  [[nodiscard]] static const std::atomic<bool>& requested();
  [[nodiscard]] static int signal();
  // Dies of the signal that has come, if one has, with the dispositions that this process began with.
  static void die_of_it();

 private:
  static constexpr int ending_signals[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction previous_[std::size(ending_signals)]{};
};

}  // namespace tcpwhy::cli
