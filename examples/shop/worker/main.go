// SPDX-License-Identifier: Apache-2.0

// worker packs the orders of the demo shop. One of them has no customer, which the code does not handle: a panic, which Go turns into
// exit code 2.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

const ordersUntilTheBadOne = 5

type customer struct{ street string }

type order struct{ customer *customer }

func main() {
	seconds, err := strconv.ParseFloat(os.Getenv("SHOP_PACE_SECONDS"), 64)
	if err != nil {
		seconds = 20
	}
	for number := 1; ; number++ {
		time.Sleep(time.Duration(seconds * float64(time.Second) / ordersUntilTheBadOne))
		next := order{customer: &customer{street: "Main Street"}}
		if number%ordersUntilTheBadOne == 0 {
			next.customer = nil
		}
		fmt.Printf("worker: order %d goes to %s\n", number, next.customer.street)
	}
}
