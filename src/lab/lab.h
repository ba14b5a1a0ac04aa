// Running experiments: the laboratory's front door for the command line.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lab/language/scenario.h"
#include "recording/recording.h"

namespace tcpwhy::lab {

// Which addresses the ends use. v4_mapped: IPv6 sockets that talk IPv4 (::ffff:127.0.0.1).
enum class Family : std::uint8_t { v4, v6, v4_mapped };

// "IPv4", "IPv6", "v4-mapped": the value of Provenance::settings["family"].
std::string_view family_name(Family family);

// The files below scenarios/ as they were when the program was built, in order of their names. They parse: a test
// holds.
std::vector<Scenario> builtin_scenarios();

// A scenario file from disk. A file that cannot be read is ErrorKind::unreadable, a syntax error ErrorKind::usage with
// file:line:column, the line and a caret.
base::Result<Scenario> load_scenario(const std::string& path);

struct RunOptions {
  Family family = Family::v4;
  unsigned parallel = 0;          // experiments side by side; 0: chosen by the machine
  bool programs_as_root = false;  // what exec() runs keeps root's rights, where the caller is root (program_user.h)
  bool kernel_probe = true;       // the kernel's own events too, where BPF is to be had (root)
  const std::atomic<bool>* stop = nullptr;  // set (by a signal handler) to end the run: nothing is left behind
};

struct Outcome {
  Scenario scenario;
  recording::Recording recording;    // what was recorded, also of a scenario that failed or was cut off
  std::optional<base::Error> error;  // why it did not hold, or could not run; expectation, privilege, system
  bool passed = false;               // every line held: the same as !error
};

// Called in the order of the scenarios, each as soon as it and those before it have finished.
using OnFinished = std::function<void(const Outcome&)>;

// Runs each scenario in namespaces and processes of its own. Returns as many outcomes as there are scenarios, in their
// order; when `stop` is set, the ones that had not finished carry an error. Whatever happens, no process and no
// namespace stays. Must be called from a process without threads that hold locks (it forks).
std::vector<Outcome> run(std::span<const Scenario> scenarios, const RunOptions& options, const OnFinished& on_finished);

}  // namespace tcpwhy::lab
