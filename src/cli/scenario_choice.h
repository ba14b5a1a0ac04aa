// Which scenarios the words of `tcpwhy lab NAME|FILE...` mean.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/language/scenario.h"

namespace tcpwhy::cli {

// A word is, in this order: the name of a built-in scenario ("2-close/server-closes"), the folder of several ("2-close"), a
// question ("5": all that help to answer it), or else the path of a file. Without words: all that are built in. A scenario that
// several words mean comes once. Errors: usage for a word that is none of these, and those of lab::load_scenario.
base::Result<std::vector<lab::Scenario>> choose_scenarios(std::span<const lab::Scenario> builtin,
                                                          std::span<const std::string> words);

}  // namespace tcpwhy::cli
