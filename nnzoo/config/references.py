"""Formulas that the description of a key or section does not contain, and the titles of the cited papers."""

from __future__ import annotations

import re

FORMULAS = {
    "optimizer: adam": "m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, "
    "w <- w - lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)",
    "optimizer: adamw": "w <- w - lr * weight_decay * w, then the step of adam",
    "optimizer: rmsprop": "v <- alpha v + (1 - alpha) g^2, w <- w - lr * g / (sqrt(v) + eps)",
    "optimizer: adagrad": "s <- s + g^2, w <- w - lr * g / (sqrt(s) + eps)",
    "optimizer: adadelta": "v <- rho v + (1 - rho) g^2, d = sqrt(u + eps) / sqrt(v + eps) * g, "
    "u <- rho u + (1 - rho) d^2, w <- w - lr * d",
    "optimizer: adamax": "m <- b1 m + (1 - b1) g, u <- max(b2 u, |g| + eps), w <- w - lr / (1 - b1^t) * m / u",
    "optimizer: rprop": "step <- step * etas[1] where the sign of g stays the same, step * etas[0] where it changes; "
    "w <- w - sign(g) * step",
    "optimizer: nadam": "adam with m <- mu_(t+1) m / (1 - mu_1 ... mu_(t+1)) + (1 - mu_t) g / (1 - mu_1 ... mu_t), "
    "and mu_t rising to b1",
    "optimizer: radam": "w <- w - lr * r_t * (m / (1 - b1^t)) / sqrt(v / (1 - b2^t)), "
    "without r_t and v in the first steps",
    "optimizer: lbfgs": "w <- w - lr * H g, with an estimate H of the inverse Hessian from the last steps",
    "scheduler: cosine_restarts": "eta_min + (lr - eta_min) * (1 + cos(pi * T_cur / T_i)) / 2",
    "loss: l1": "|output - target|",
    "loss: mae": "|output - target|",
    "loss: nll": "-log p of the true class",
    "activation: log_softmax": "f(x)_i = x_i - log(sum_j exp(x_j))",
    "model: mlp": "h_0 = x, h_l = activation(W_l h_(l-1) + b_l), output = W h_L + b",
    "model: perceptron": "y = step(w x + b)",
    "model: rnn": "h_t = f(U x_t + W h_(t-1) + b)",
    "model: lstm": "i, f, o = sigmoid(W x_t + U h_(t-1) + b), each with its own weights; "
    "g = tanh(W_g x_t + U_g h_(t-1) + b_g); c_t = f c_(t-1) + i g, h_t = o tanh(c_t)",
    "model: gru": "r, z = sigmoid(W x_t + U h_(t-1) + b), each with its own weights; "
    "n = tanh(W_n x_t + b_n + r (U_n h_(t-1) + c_n)); h_t = (1 - z) n + z h_(t-1)",
    "model: tree_lstm": "c = i g + f_left c_left + f_right c_right, h = o tanh(c)",
    "activation: selu": "f(x) = 1.0507 * (x for x > 0, 1.6733 * (exp(x) - 1) otherwise)",
    "scheduler: plateau": "lr <- lr * factor",
    "model.dropout": "training: h' = h * m / (1 - p), with m = 0 with probability p, else m = 1; evaluation: h' = h",
    "model.batch_norm": "y = gamma * (x - mean) / sqrt(variance + eps) + beta; mean and variance are those of the "
    "batch in training, and running averages in evaluation",
    "loss.label_smoothing": "t' = (1 - label_smoothing) * t + label_smoothing / K",
    "loss.class_weights": "balanced: weight of a class = n_samples / (n_classes * n_samples of the class)",
    "optimizer.sgd.lr": "sgd: w <- w - lr * gradient",
    "optimizer.momentum": "v <- momentum * v + gradient, w <- w - lr * v",
    "optimizer.betas": "m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2",
    "regularization.l1": "w <- sign(w) * max(|w| - lr * l1, 0) after each step",
    "regularization.l2": "gradient <- gradient + 2 * l2 * w",
    "train.clip_grad_norm": "g <- g * min(1, clip_grad_norm / |g|)",
    "preprocess.normalize": "standardize: (x - mean) / std; minmax: (x - min) / (max - min); center: x - mean; "
    "robust: z = (x - median) / (q75 - q25)",
    "preprocess.pca": "z = (x - mean) V, with the eigenvectors V of the covariance",
    "preprocess.zca": "z = (x - mean) V diag(1 / sqrt(lambda)) V^T, with the eigenvectors V and eigenvalues lambda of "
    "the covariance",
    "metrics: accuracy": "number of correct predictions / number of predictions",
    "metrics: precision": "TP / (TP + FP)",
    "metrics: recall": "TP / (TP + FN)",
    "metrics: f1": "2 * precision * recall / (precision + recall)",
    "metrics: mae": "mean |prediction - target|",
    "metrics: mse": "mean (prediction - target)^2",
    "metrics: rmse": "sqrt(mean (prediction - target)^2)",
    "metrics: r2": "1 - sum (prediction - target)^2 / sum (target - mean)^2",
    "metrics: perplexity": "exp(mean -log p of the true class)",
}
"""By section or metric, such as `optimizer: adam`, or by the path of a key."""

_MATH = re.compile(r"<-| = |\^|sum_| \* | log |\bmax\(|f\(x\)|N\(0|\bU\(")


def formula_of(name: str, description: str) -> str:
    """Returns the formula of a section or metric: its own one, or the first sentence of a mathematical description.

    Args:
        name: The section or metric, as in `FORMULAS`.
        description: Its description.
    """
    if name in FORMULAS:
        return FORMULAS[name]
    first = re.split(r"\.(?: |$)", re.sub(r" \([A-Z][^()]*\d{4}[^()]*\)", "", description))[0]
    return first if _MATH.search(first) else ""


PAPERS = {
    "Aeberhard & Forina 1992": "Wine, UCI Machine Learning Repository",
    "Alpaydin & Kaynak 1998": "Cascading Classifiers",
    "Arjovsky et al. 2016": "Unitary Evolution Recurrent Neural Networks",
    "Cho et al. 2014": "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
    "Clanuwat et al. 2018": "Deep Learning for Classical Japanese Literature",
    "Clevert et al. 2015": "Fast and Accurate Deep Network Learning by Exponential Linear Units (ELUs)",
    "Dozat 2016": "Incorporating Nesterov Momentum into Adam",
    "Duchi et al. 2011": "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
    "Efron et al. 2004": "Least Angle Regression",
    "Elman 1990": "Finding Structure in Time",
    "Fisher 1936": "The Use of Multiple Measurements in Taxonomic Problems",
    "Gers et al. 2000": "Learning to Forget: Continual Prediction with LSTM",
    "Girshick 2015": "Fast R-CNN",
    "Glorot & Bengio 2010": "Understanding the Difficulty of Training Deep Feedforward Neural Networks",
    "Goodfellow et al. 2013": "Maxout Networks",
    "Gorishniy et al. 2021": "Revisiting Deep Learning Models for Tabular Data",
    "Gorishniy et al. 2025": "TabM: Advancing Tabular Deep Learning with Parameter-Efficient Ensembling",
    "Jordan 2024": "Muon: An Optimizer for Hidden Layers in Neural Networks",
    "Jordan 2024b": "94% on CIFAR-10 in 3.29 Seconds on a Single GPU",
    "Liu et al. 2025": "Muon Is Scalable for LLM Training",
    "Gorishniy et al. 2022": "On Embeddings for Numerical Features in Tabular Deep Learning",
    "He et al. 2015": "Delving Deep into Rectifiers: Surpassing Human-Level Performance on ImageNet Classification",
    "He et al. 2016": "Deep Residual Learning for Image Recognition",
    "Hendrycks & Gimpel 2016": "Gaussian Error Linear Units (GELUs)",
    "Hinton 2012": "Neural Networks for Machine Learning, lecture 6",
    "Hochreiter & Schmidhuber 1997": "Long Short-Term Memory",
    "Holzmueller et al. 2024": "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular Data",
    "Huber 1964": "Robust Estimation of a Location Parameter",
    "Ioffe & Szegedy 2015": "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate "
    "Shift",
    "Jozefowicz et al. 2015": "An Empirical Exploration of Recurrent Network Architectures",
    "Kingma & Ba 2015": "Adam: A Method for Stochastic Optimization",
    "Klambauer et al. 2017": "Self-Normalizing Neural Networks",
    "Krizhevsky 2009": "Learning Multiple Layers of Features from Tiny Images",
    "Krizhevsky 2014": "One Weird Trick for Parallelizing Convolutional Neural Networks",
    "Krizhevsky et al. 2012": "ImageNet Classification with Deep Convolutional Neural Networks",
    "LeCun et al. 1998": "Gradient-Based Learning Applied to Document Recognition",
    "LeCun et al. 1998b": "Efficient BackProp",
    "Lin et al. 2014": "Network In Network",
    "Lin et al. 2017": "Focal Loss for Dense Object Detection",
    "Liu & Nocedal 1989": "On the Limited Memory BFGS Method for Large Scale Optimization",
    "Liu et al. 2020": "On the Variance of the Adaptive Learning Rate and Beyond",
    "Loshchilov & Hutter 2017": "SGDR: Stochastic Gradient Descent with Warm Restarts",
    "Loshchilov & Hutter 2019": "Decoupled Weight Decay Regularization",
    "Maas et al. 2013": "Rectifier Nonlinearities Improve Neural Network Acoustic Models",
    "Netzer et al. 2011": "Reading Digits in Natural Images with Unsupervised Feature Learning",
    "Page 2019": "How to Train Your ResNet",
    "Polyak 1964": "Some Methods of Speeding Up the Convergence of Iteration Methods",
    "Rahimi & Recht 2007": "Random Features for Large-Scale Kernel Machines",
    "Reddi et al. 2018": "On the Convergence of Adam and Beyond",
    "Riedmiller & Braun 1993": "A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP Algorithm",
    "Robbins & Monro 1951": "A Stochastic Approximation Method",
    "Rosenblatt 1958": "The Perceptron: A Probabilistic Model for Information Storage and Organization in the Brain",
    "Saxe et al. 2013": "Exact Solutions to the Nonlinear Dynamics of Learning in Deep Linear Neural Networks",
    "Schuster & Paliwal 1997": "Bidirectional Recurrent Neural Networks",
    "Simonyan & Zisserman 2015": "Very Deep Convolutional Networks for Large-Scale Image Recognition",
    "Smith & Topin 2018": "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates",
    "Smith 2017": "Cyclical Learning Rates for Training Neural Networks",
    "Socher et al. 2011": "Parsing Natural Scenes and Natural Language with Recursive Neural Networks",
    "Socher et al. 2013": "Recursive Deep Models for Semantic Compositionality over a Sentiment Treebank",
    "Srivastava et al. 2014": "Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
    "Sutskever et al. 2013": "On the Importance of Initialization and Momentum in Deep Learning",
    "Szegedy et al. 2015": "Going Deeper with Convolutions",
    "Tai et al. 2015": "Improved Semantic Representations From Tree-Structured Long Short-Term Memory Networks",
    "Weston & Watkins 1999": "Support Vector Machines for Multi-Class Pattern Recognition",
    "Wolberg et al. 1995": "Breast Cancer Wisconsin (Diagnostic), UCI Machine Learning Repository",
    "Xiao et al. 2017": "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
    "Yun et al. 2019": "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features",
    "Zaremba et al. 2014": "Recurrent Neural Network Regularization",
    "Zeiler 2012": "ADADELTA: An Adaptive Learning Rate Method",
    "Zeng et al. 2023": "Are Transformers Effective for Time Series Forecasting?",
    "Zhang et al. 2018": "mixup: Beyond Empirical Risk Minimization",
    "Zhong et al. 2020": "Random Erasing Data Augmentation",
}
"""The titles of papers, by how the schema cites them."""

_CITATION = re.compile(r"[A-Z][a-zü]+(?:[A-Z][a-z]+)?(?: & [A-Z]\w+| et al\.)? \(?(?:19|20)\d\d\)?[a-z]?")


def papers_in(text: str) -> dict[str, str]:
    """Returns the papers that a text cites, such as "Kingma & Ba 2015", with their titles; "" if it is not known."""
    cited = [found.replace("(", "").replace(")", "") for found in _CITATION.findall(text)]
    return {citation: PAPERS.get(citation, "") for citation in dict.fromkeys(cited)}
