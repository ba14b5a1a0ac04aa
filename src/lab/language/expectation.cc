#include "lab/language/expectation.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "calls/names.h"

namespace tcpwhy::lab {
namespace {

bool ends_the_process(CallId call) { return call == CallId::exit || call == CallId::kill; }

bool same_signals(std::vector<int> a, std::vector<int> b) {
  std::ranges::sort(a);
  std::ranges::sort(b);
  return a == b;
}

// The default action of a signal kills inside the call: then EPIPE was never returned, and the signal is what is left
// to see.
bool failed_as_expected(const Expectation& expected, const CallOutcome& actual) {
  if (actual.killed_by) return std::ranges::find(expected.signals, *actual.killed_by) != expected.signals.end();
  return actual.returned && actual.result < 0 && actual.error == expected.error &&
         same_signals(expected.signals, actual.signals);
}

bool holds(const Expectation& expected, CallId call, const CallOutcome& actual) {
  if (expected.kind == Expectation::Kind::error) return failed_as_expected(expected, actual);
  if (expected.kind == Expectation::Kind::success && ends_the_process(call))
    return actual.killed_by || actual.exited_with || actual.result == 0;
  if (!actual.returned || !actual.signals.empty()) return false;
  switch (expected.kind) {
    case Expectation::Kind::success: return actual.result >= 0;
    case Expectation::Kind::number: return actual.result >= 0 && actual.value == expected.number;
    case Expectation::Kind::bytes:
      return actual.result == static_cast<std::int64_t>(expected.bytes.size()) && actual.bytes == expected.bytes;
    case Expectation::Kind::error:
    case Expectation::Kind::blocks: break;
  }
  return false;
}

}  // namespace

std::string describe(const CallOutcome& actual) {
  if (actual.killed_by) return fmt::format("+++ killed by {} +++", calls::signal_name(*actual.killed_by));
  if (actual.exited_with) return fmt::format("+++ exited with {} +++", *actual.exited_with);
  if (!actual.returned) return "did not return";
  std::string text;
  for (const int signal : actual.signals) text += fmt::format("--- {} --- ", calls::signal_name(signal));
  if (actual.result < 0) return text + fmt::format("= -1 {}", calls::error_name(actual.error));
  if (!actual.bytes.empty()) return text + fmt::format("= {}", base::quote(actual.bytes));
  return text + fmt::format("= {}", actual.value);
}

std::optional<Mismatch> compare(const Expectation& expected, CallId call, const CallOutcome& actual) {
  if (holds(expected, call, actual)) return std::nullopt;
  return Mismatch{expected.text.empty() ? "success" : expected.text, describe(actual)};
}

}  // namespace tcpwhy::lab
