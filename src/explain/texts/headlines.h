// The findings in a few words, for a headline: one row for each rule from Severity::warning on. A place is a slot of the finding
// ({bytes}, {unread}), an end with its role ({who}, {peer}, {opener}, {listener}: "server python3[812]"), or what that end did ({act}: of who,
// {act_peer}: of peer: "server python3[812] close(4) at handle app.py:41"; the end alone where no call is known).
#pragma once

#include <span>
#include <string_view>

#include "explain/finding.h"

namespace tcpwhy::explain {

struct Headline {
  std::string_view id;  // of the rule
  Text text;
};
std::span<const Headline> headlines();
const Headline* find_headline(std::string_view id);  // null: none

}  // namespace tcpwhy::explain
