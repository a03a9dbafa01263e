module slipway/bundle/pause

go 1.26.0
