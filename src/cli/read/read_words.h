// The words of `tcpwhy read` that are no options: files, and behind them a filter as tcpdump has it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace tcpwhy::cli {

struct ReadWords {
  std::vector<std::string> files;
  std::string filter;
};

// The first word is a file, whether it is there or not. Of the others those are that name one, up to the first that does not, and those that
// look like one: what is missing then is to be missed as a file, and is not a filter that can't be understood.
ReadWords sort_words(const std::vector<std::string>& words,
                     const std::function<bool(const std::string& word)>& names_file);

// For a filter that could not be compiled: what else may be wrong with it.
base::Error explain_filter(base::Error error, const ReadWords& words,
                           const std::function<bool(const std::string& word)>& names_file);

}  // namespace tcpwhy::cli
