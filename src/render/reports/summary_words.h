// One connection of a recording in a line: who with whom, for how long, how it ended.
#pragma once

#include <string>
#include <string_view>

#include "base/language.h"
#include "explain/rules/ending.h"
#include "timeline/timeline.h"

namespace tcpwhy::render {

// "curl 127.0.0.1:40000 → nginx 127.0.0.1:80": names where they are known. Escaped.
std::string ends_words(const timeline::Timeline& timeline, timeline::ConnectionIndex index, base::Language language);
// "12.3 ms, 78 B→ ←612 B; curl closed first, by close(); in order": without the ends. Escaped.
std::string summary_words(const timeline::Timeline& timeline, timeline::ConnectionIndex index, base::Language language);
// "closed in order", as many connections are counted.
std::string_view kind_words(explain::EndKind kind, base::Language language);

}  // namespace tcpwhy::render
