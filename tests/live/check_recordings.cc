// check_recordings RECORDING...: whether what is told of a recording contradicts neither itself nor its evidence, and whether the same
// findings, grades and causes would be told had the programs sent something else: each payload is replaced by the names of flags, options and
// errnos. Status 1, and where, if not.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <span>
#include <string>

#include "capfile/recording/recording_io.h"
#include "explain/testing/contradictions.h"
#include "explain/testing/other_payload.h"

namespace {

using namespace tcpwhy;
using explain::testing::Account;
using explain::testing::account_of;

// Of a large recording all words at once must do.
constexpr std::size_t large = 5000;
constexpr std::size_t words_alone = 10;

std::string rules_of(const Account& account) {
  std::string rules;
  for (const auto& finding : account.findings) rules += fmt::format(" {}", std::get<0>(finding));
  return rules;
}

bool is_the_same(const recording::Recording& recording, const Account& plain, std::string_view payload) {
  const Account other = account_of(explain::testing::with_payload(recording, payload));
  if (other == plain) return true;
  fmt::print(stderr, "payload {:?} is taken for evidence\n  plain:{}\n  other:{}\n", payload, rules_of(plain),
             rules_of(other));
  const auto [was, is] = std::ranges::mismatch(plain.causes, other.causes);
  if (was != plain.causes.end() && is != other.causes.end())
    fmt::print(stderr, "  cause of segment {}: {}, now {}\n", was - plain.causes.begin(), std::get<3>(*was),
               std::get<3>(*is));
  return false;
}

bool holds(const char* file, const recording::Recording& recording) {
  const auto explained = explain::explain(recording);
  const auto contradictions = explain::testing::contradictions_in(explained);
  for (const auto& contradiction : contradictions) fmt::print(stderr, "{}: {}\n", file, contradiction);
  return contradictions.empty();
}

}  // namespace

int main(int count, char** arguments) {
  const auto words = explain::testing::telling_words();
  const std::string all = explain::testing::all_telling_words();
  std::size_t next = 0;
  bool sound = true;
  for (const char* const file : std::span(arguments, static_cast<std::size_t>(count)).subspan(1)) {
    const auto read = capfile::read_recordings(file);
    if (!read) {
      fmt::print(stderr, "{}: {}\n", file, read.error().message.en);
      return 1;
    }
    for (const auto& recording : read->recordings) {
      sound = holds(file, recording) && sound;
      const Account plain = account_of(recording);
      sound = is_the_same(recording, plain, all) && sound;
      if (recording.events.size() > large) continue;
      for (std::size_t i = 0; i < words_alone; ++i)
        sound = is_the_same(recording, plain, words[next++ % words.size()]) && sound;
    }
  }
  return sound ? 0 : 1;
}
