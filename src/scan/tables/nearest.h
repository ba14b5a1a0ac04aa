// For a word that is none of those that are known: the one that was probably meant.
#pragma once

#include <span>
#include <string_view>

#include "base/language.h"

namespace tcpwhy::scan {

// That of `words` which differs from `word` by the fewest letters, or ends in it behind a dot ("loss" of "capture.loss"); empty, where
// none is near. Capital letters, and _ for . and -, make no difference.
std::string_view nearest(std::string_view word, std::span<const std::string_view> words);

// "did you mean capture.loss? ", for a hint to go on behind it; empty where nothing is near.
base::OwnedText did_you_mean(std::string_view near);

}  // namespace tcpwhy::scan
