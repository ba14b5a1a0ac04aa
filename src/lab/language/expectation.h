// Does what a call did agree with what the scenario expects? Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lab/language/scenario.h"

namespace tcpwhy::lab {

// What a call did, as far as it is known.
struct CallOutcome {
  bool returned = false;
  std::int64_t result = 0;
  std::int32_t error = 0;
  std::int64_t value = 0;          // what "= NAME" speaks of: poll's revents, getsockopt's value, else the result
  std::string bytes;               // received, as far as kept
  std::vector<int> signals;        // that a handler saw during the call
  std::optional<int> killed_by;    // the process ended in the call: by this signal
  std::optional<int> exited_with;  // or with this status
};

struct Mismatch {
  std::string expected, actual;  // "= 14", "= -1 EPIPE"
};

// Nothing if it holds. Never called for Expectation::Kind::blocks.
std::optional<Mismatch> compare(const Expectation& expected, CallId call, const CallOutcome& actual);

// "= -1 EPIPE", "= 5 \"hello\"", "--- SIGPIPE --- = -1 EPIPE", "+++ killed by SIGPIPE +++", "did not return".
std::string describe(const CallOutcome& actual);

}  // namespace tcpwhy::lab
