#include "capfile/reader.h"
#include <gtest/gtest.h>
