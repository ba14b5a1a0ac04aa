#include "scan/tables/nearest.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "base/format.h"

namespace tcpwhy::scan {
namespace {

// Nobody means such a word; and the work grows with the square of its length.
constexpr std::size_t longest = 64;

std::string plain(std::string_view word) {
  std::string out(word);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == '_' || c == '-') c = '.';
  }
  return out;
}

// How many letters have to be changed, left out or added, or neighbours exchanged.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last, last(b.size() + 1), now(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      now[j] = std::min({changed, last[j] + 1, now[j - 1] + 1});
      const bool exchanged = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (exchanged) now[j] = std::min(now[j], before_last[j - 2] + 1);
    }
    before_last = std::exchange(last, now);
  }
  return last[b.size()];
}

}  // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> words) {
  if (word.empty() || word.size() > longest) return {};
  const std::string meant = plain(word);
  std::string_view best;
  std::size_t least = std::max<std::size_t>(2, meant.size() / 3) + 1;
  for (const std::string_view known : words) {
    const std::string candidate = plain(known);
    const bool ends_in_it = candidate.ends_with("." + meant);
    const std::size_t far = ends_in_it ? 1 : distance(meant, candidate);
    // Of a short word two letters are most of it.
    if (!ends_in_it && far * 2 > std::max(meant.size(), candidate.size())) continue;
    if (far < least) least = far, best = known;
  }
  return best;
}

base::OwnedText did_you_mean(std::string_view near) {
  return near.empty() ? base::OwnedText{} : base::format({"did you mean {}? ", "您是指 {} 吗？"}, near);
}

}  // namespace tcpwhy::scan
