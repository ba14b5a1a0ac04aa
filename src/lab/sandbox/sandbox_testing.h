// For tests: running a piece of work in a sandbox, with its failures told by the test that asked.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "lab/sandbox/sandbox.h"

namespace tcpwhy::lab::testing {

// Inside the worker, where gtest's macros have no one to tell: hands a failure back as the work's error.
#define TCPWHY_INSIDE(condition)                                                                                 \
  do {                                                                                                           \
    if (!(condition))                                                                                            \
      return ::tcpwhy::base::fail(                                                                               \
          ::tcpwhy::base::ErrorKind::expectation,                                                                \
          ::tcpwhy::base::both(std::string(__FILE__ ":") + std::to_string(__LINE__) + ": not so: " #condition)); \
  } while (false)

// The same for a Result: its own error is told.
#define TCPWHY_INSIDE_OK(result)                                         \
  do {                                                                   \
    if (!(result).has_value()) return std::unexpected((result).error()); \
  } while (false)

#define TCPWHY_SKIP_WITHOUT_SANDBOX()                                                           \
  do {                                                                                          \
    if (auto available = ::tcpwhy::lab::sandbox_available(); !available)                        \
      GTEST_SKIP() << available.error().message.en << " (" << available.error().hint.en << ")"; \
  } while (false)

inline SandboxOptions test_options() {
  return {.name = "test", .wall_limit = std::chrono::seconds(30), .keep_fds = {}, .on_progress = {}};
}

inline base::Result<Bytes> run_sandboxed(Work work, SandboxOptions options = test_options()) {
  auto sandbox = Sandbox::start(std::move(options), std::move(work));
  if (!sandbox) return std::unexpected(std::move(sandbox.error()));
  return sandbox->wait();
}

// Runs the work in a sandbox and expects it to succeed. (A function: a macro would print the whole work when it fails.)
inline void expect_inside(Work work) {
  const auto result = run_sandboxed(std::move(work));
  if (!result) ADD_FAILURE() << result.error().message.en << " / " << result.error().hint.en;
}

inline ::testing::AssertionResult succeeded(const base::Result<Bytes>& result) {
  if (result) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << result.error().message.en << " / " << result.error().hint.en;
}

inline Bytes to_bytes(std::string_view text) { return {text.begin(), text.end()}; }
inline std::string to_text(std::span<const std::uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace tcpwhy::lab::testing
