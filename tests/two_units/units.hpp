// What both units do, each with its own device: ten steps of training, then a prediction.
#pragma once

#include <plexus/plexus.hpp>

#include <vector>

static std::vector<float> train_and_predict() {
  namespace px = plexus;
  px::dataset data;
  data.features = 3;
  data.outputs = 2;
  data.inputs = {0.5f, 0.9f, -0.3f, -0.7f, 0.2f, 0.4f};
  data.targets = {0.9f, 0.1f, 0.2f, 0.8f};
  px::network<px::input<3>, px::dense<5, px::tanh>, px::dense<2, px::sigmoid>> net{px::seed{7}};
  px::fit(net, data, px::quadratic{}, px::sgd{.rate = 0.5f}, {.epochs = 10, .batch = 1});
  return net.predict(data.inputs, 2);
}
