// SIGINT, SIGTERM and SIGHUP end what a command does; it clears up, then the program dies of the signal, as a shell expects.
// The third one ends the program at once, whatever it is at.
#pragma once

#include <atomic>
#include <csignal>
#include <iterator>

namespace tcpwhy::observe {

class StopOnSignals {
 public:
  StopOnSignals();
  StopOnSignals(const StopOnSignals&) = delete;
  StopOnSignals& operator=(const StopOnSignals&) = delete;
  ~StopOnSignals();

  // Set when one has come.
  [[nodiscard]] static const std::atomic<bool>& requested();
  [[nodiscard]] static int signal();  // the first one
  [[nodiscard]] static int times();   // how many have come
  // The terminal sent it (Ctrl-C), to all of its foreground process group.
  [[nodiscard]] static bool from_terminal();

  // What is left to do may be long, and may be given up: from now on a signal ends the program at once. If it came more than once
  // already, now.
  void end_at_once_from_now_on();
  // Dies of the signal that has come, if one has, with the dispositions that this process began with.
  static void die_of_it();

 private:
  static constexpr int ending_signals[] = {SIGINT, SIGTERM, SIGHUP};
  void restore();
  struct sigaction previous_[std::size(ending_signals)]{};
};

}  // namespace tcpwhy::observe
